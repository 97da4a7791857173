"""Cards and lines as Telegram's HTML: whatever is in them, Telegram can read it and it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.message import Card
from bot.integrations.telegram.html import (
    TEXT_UNITS,
    clean,
    cut,
    render_alert,
    render_buttons,
    render_card,
    render_text,
    utf16_length,
)
from tests.fakes.telegram_html import Unparsable, literal_code, read_html

NASTY = [
    "<b>",
    "</b>",
    "<a href='http://x'>",
    "&",
    "&lt",
    "&amp;",
    "<",
    ">",
    "😀",
    "👩‍🚒",
    "\u202e",
    "\x00",
    "\ud800",
    "\n",
    "@ana",
    "x",
]
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(NASTY), max_size=40).map("".join),
    st.builds(lambda piece, times: piece * times, st.sampled_from(NASTY), st.integers(0, 5000)),
)
cards = st.builds(
    Card,
    title=texts,
    lines=st.lists(texts, max_size=6).map(tuple),
    buttons=st.dictionaries(texts, texts, max_size=5),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    link=st.one_of(texts, texts.map(lambda text: f"https://{text}")),
)


def same_but_for_marks(read: str, plain: str) -> bool:
    """Whether both are one text, but for the marks of code spans."""
    return "".join(char for char in read if char not in "`'\"") == "".join(char for char in plain if char not in "`'\"")


@given(cards)
def test_any_card_is_html_that_telegram_reads_and_fits(card: Card) -> None:
    text = render_card(card)

    read = read_html(text.html)
    assert 0 < read.units <= TEXT_UNITS
    assert [tag for tag, _ in read.tags if tag != "code"] == ["b"]
    assert same_but_for_marks(read.text, text.plain)
    text.plain.encode()


@given(texts)
def test_any_line_is_html_that_telegram_reads_and_fits(said: str) -> None:
    text = render_text(said)

    read = read_html(text.html)
    assert 0 < read.units <= TEXT_UNITS
    assert {tag for tag, _ in read.tags} <= {"code"}
    assert same_but_for_marks(read.text, text.plain)


@given(st.text(alphabet="ab `\n<&", max_size=80))
def test_no_text_leaves_a_pair_of_backticks_to_be_read(said: str) -> None:
    card = render_card(Card(title=said, lines=(said, said), buttons={said: "x" * 65}))
    reads = [read_html(card.html).text, card.plain, read_html(render_text(said).html).text, render_alert(said)]

    assert [literal_code(read) for read in reads] == [[], [], [], []]


def test_a_command_is_code_in_the_html_and_in_quotes_elsewhere() -> None:
    text = render_text("Say `ack 42` & more")
    card = render_card(Card(title="Say `ack`", lines=("`runs <id>` says why",)))

    assert (text.html, text.plain) == ("Say <code>ack 42</code> &amp; more", 'Say "ack 42" & more')
    assert card.html == '🔵 <b>Say "ack"</b>\n<code>runs &lt;id&gt;</code> says why'
    assert card.plain == '🔵 Say "ack"\n"runs <id>" says why'
    assert render_alert("`undo 7` undoes it.") == '"undo 7" undoes it.'
    assert render_buttons(Card(title="t", buttons={"Do `it`": "ack 42"})) == [[('Do "it"', "ack 42")]]


@given(cards)
def test_any_button_is_one_that_telegram_takes(card: Card) -> None:
    rows = render_buttons(card)

    assert all(len(row) <= 8 for row in rows)
    for label, words in (button for row in rows for button in row):
        assert label.strip()
        assert utf16_length(label) <= 64
        assert 1 <= len(words.encode()) <= 64
        assert words in card.buttons.values()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(1, 300))
def test_a_cut_text_is_the_beginning_of_it(text: str, limit: int) -> None:
    shorter = cut(text, limit)

    assert utf16_length(shorter) <= limit
    assert shorter == text or text.startswith(shorter.removesuffix("…"))


def test_a_cut_keeps_both_halves_of_a_character_outside_the_basic_plane() -> None:
    assert cut("😀😀😀", 6) == "😀😀😀"
    assert cut("😀😀😀", 5) == "😀😀…"
    assert cut("😀😀😀", 4) == "😀…"


def test_the_escapes_of_a_text_do_not_count_towards_its_limit() -> None:
    text = render_text("&" * TEXT_UNITS)

    assert text.html == "&amp;" * TEXT_UNITS


def test_a_long_card_keeps_its_title_and_its_link_and_shows_that_lines_are_cut() -> None:
    card = Card(title="Disk full", lines=("x" * 3000, "y" * 3000), link="https://bot.example.net/incidents/42")

    plain = render_card(card).plain

    assert plain.startswith("🔵 Disk full\nxxx")
    assert plain.endswith("y…\nhttps://bot.example.net/incidents/42")
    assert utf16_length(plain) == TEXT_UNITS


def test_a_newline_in_an_alert_does_not_write_a_line_of_the_card() -> None:
    card = Card(title="Disk\nfull", lines=("real\nStatus: resolved\u2028and more",))

    assert render_card(card).plain == "🔵 Disk full\nreal Status: resolved and more"


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("a\u202egpj.exe", "agpj.exe"),
        ("\x1b[31mred", "[31mred"),
        ("\x00nul", "nul"),
        ("half \ud83d", "half \ufffd"),
        ("a\r\nb", "a\nb"),
        ("ask @ana_k now", "ask @\u2060ana_k now"),
        ("mail ana@example.net", "mail ana@example.net"),
    ],
)
def test_what_hides_re_orders_or_pings_is_taken_out(raw: str, seen: str) -> None:
    assert clean(raw) == seen


def test_the_card_shows_how_bad_it_is_and_where_it_stands() -> None:
    looks = [render_card(Card(title="t", severity=severity)).plain for severity in Severity]
    looks += [render_card(Card(title="t", status=status)).plain for status in (Status.ACKED, Status.RESOLVED)]

    assert looks == ["🔴 t", "🟠 t", "🟡 t", "🔵 t", "👀 t", "✅ t"]


def test_words_too_long_for_a_button_are_shown_to_be_typed() -> None:
    words = "scale prod/" + "a" * 60 + " 6"
    card = Card(title="t", buttons={"Acknowledge": "ack 42", "Scale": words})

    assert render_buttons(card) == [[("Acknowledge", "ack 42")]]
    assert render_card(card).plain == f"🔵 t\nScale: {words}"


def test_a_link_that_is_not_of_the_web_is_left_out() -> None:
    assert render_card(Card(title="t", link="javascript:alert(1)")).plain == "🔵 t"


def test_a_card_of_nothing_is_still_a_message() -> None:
    assert render_card(Card(title="\u202e \x00")).plain == "🔵 (no title)"
    assert render_alert(" \n") == "(no text)"


@pytest.mark.parametrize("html", ["<b>x", "x</b>", "<b><i>x</b></i>", "<script>x</script>", "1 < 2", "<span>x</span>"])
def test_the_fake_reads_as_strictly_as_telegram(html: str) -> None:
    with pytest.raises(Unparsable, match="can't parse entities"):
        read_html(html)


def test_the_fake_leaves_unknown_entities_as_they_are() -> None:
    assert read_html("&lt;&nbsp;&#65;&x <b>y</b>").text == "<&nbsp;A&x y"
