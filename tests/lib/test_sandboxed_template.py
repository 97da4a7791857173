"""Templates of the settings, with whatever is put into them."""

from __future__ import annotations

import pytest

from bot.lib.sandboxed_template import BadTemplate, SandboxedTemplate

NAMES = ("name", "labels")


def rendered(text: str, most: int = 100, **values: object) -> str:
    return SandboxedTemplate(text, names=NAMES).render({"name": "Down", "labels": {"pod": "a-1"}, **values}, most)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ name }} {{ labels.pod }}", "Down a-1"),
        ("{{ name }}|{{ labels.a.b.c }}", "Down|"),
        ("{{ labels.node | default('no node') }}", "no node"),
        ("See the wiki", "See the wiki"),
        ("{{ labels.node or 'no node' | upper }}", "NO NODE"),
        ("{% if labels.pod %}pod {{ labels['pod'] }}{% endif %}", "pod a-1"),
        ("{% for key, value in labels | dictsort %}{{ key }}={{ value }} {% endfor %}", "pod=a-1"),
        ("{{ name[:2] }}", "Do"),
    ],
)
def test_a_template_is_filled_with_what_there_is_and_what_is_missing_is_empty(template: str, text: str) -> None:
    assert rendered(template) == text


def test_a_template_of_which_only_the_frame_is_left_is_refused() -> None:
    with pytest.raises(BadTemplate, match="names only values that this alert does not have"):
        rendered("{{ labels.node }} at {{ labels.rack | upper }}")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ name ", "is not a template, line 1"),
        ("a\n{% if %}", "is not a template, line 2"),
        ("{{ nam }}", "uses nam, which there is not; did you mean name?"),
        ("{{ secrets }}", "there are labels, name"),
        ("{% include 'x' %}", "no macro, block, include"),
        ("{% macro x() %}{% endmacro %}", "no macro"),
        ("{{ name * 1000000000 }}", "must not use the operator *"),
        ("{{ name | attr('x') }}", "No filter named 'attr'"),
        ("{{ range(10) }}", "uses range, which there is not"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_its_reason(template: str, why: str) -> None:
    with pytest.raises(BadTemplate) as refused:
        SandboxedTemplate(template, names=NAMES)

    assert why in str(refused.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ labels.__class__.__mro__ }}",
        "{{ name.__init__.__globals__ }}",
        "{{ ''.__class__ }}",
        "{{ labels.update({'pod': 'b'}) }}",
        "{{ '{0.__class__}'.format(name) }}",
        "{{ 1 / 0 }}",
        "{{ name.no_such() }}",
    ],
)
def test_a_template_reaches_nothing_but_its_values_and_changes_none(template: str) -> None:
    labels = {"pod": "a-1"}
    try:
        text = rendered(template, labels=labels)
    except BadTemplate as refused:
        text = str(refused)

    assert labels == {"pod": "a-1"}
    assert "<class" not in text
    assert "object at 0x" not in text
    assert "builtins" not in text


def test_a_text_that_grows_is_cut() -> None:
    endless = "{% for a in labels.values() %}{% for b in labels.values() %}{{ name }}{% endfor %}{% endfor %}"

    assert len(rendered(endless, labels={str(n): "v" for n in range(200)})) == 100


def test_what_is_put_in_is_no_template() -> None:
    assert rendered("{{ name }}", name="{{ labels.pod }}") == "{{ labels.pod }}"
