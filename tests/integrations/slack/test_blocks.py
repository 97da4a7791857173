"""What a card becomes in Slack: nothing in it pings, pretends or is too long; and what people type becomes words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.message import Card
from bot.integrations.slack.blocks import blocks, escape, summary, text_only
from bot.integrations.slack.text import command_text, plain_text_of
from tests.fakes.slack_rules import breaches, pings

#: What alert texts have tried, or could try, in a chat.
CORPUS = [
    "<!channel>",
    "<!here>",
    "<!everyone>",
    "<!subteam^S1|@ops>",
    "<@U1>",
    "<#C1|general>",
    "@here @channel @everyone",
    "<https://evil.test|https://bank.test>",
    "https://bank.test@evil.test/login",
    "https://evil.test|https://bank.test",
    "see http://ok.test/a?b=1&c=<!channel>",
    "http://ok.test/<!here> http://ok.test/&lt;!here&gt;",
    "&lt;!channel&gt;",
    "&amp;lt;!channel&amp;gt;",
    "<\u200b!channel>",
    "\u202egnp.exe",
    "a\x00b\x1b[31mred\x07",
    "half \ud800 surrogate",
    "line\u2028break\u2029here",
    "```code``` `<!channel>` *bold* _it_ ~no~",
    "javascript:alert(1)",
    "http://[::1",
    "http://host:99999999/",
    "https://\u0430pple.test/",
]


@pytest.mark.parametrize("nasty", CORPUS)
def test_nothing_of_an_alert_pings_or_pretends(nasty: str) -> None:
    card = Card(title=nasty, lines=(nasty, f"see https://ok.test {nasty}"), buttons={nasty: "ack 42"}, link=nasty)
    told = replace(card, buttons={nasty: "ack 42"})

    drawn = blocks(told)

    assert breaches(drawn) == []
    for text in (summary(told), text_only(told), escape(nasty)):
        assert pings(text, drawn, parsed=False) == []
        json.dumps(drawn).encode()
        text.encode()


@given(st.text(max_size=400), st.text(max_size=6000), st.sampled_from([1, 3, 70]), st.text(max_size=4000))
def test_no_text_is_too_much(title: str, body: str, copies: int, link: str) -> None:
    card = Card(
        title=title,
        lines=(body, f"http://x.test/{body}") * copies,
        buttons={f"{n}{title}": "ack 42" for n in range(copies)},
        link=f"https://x.test/{link}",
    )
    told = card

    drawn = blocks(told)

    assert breaches(drawn) == []
    assert pings(summary(told), drawn, parsed=False) == []
    assert 0 < len(summary(told)) <= 4000
    assert 0 < len(text_only(told)) <= 4000


@given(st.text(alphabet="a&<>é🔥", max_size=60), st.integers(min_value=6, max_value=40))
def test_a_cut_never_splits_an_escape(text: str, limit: int) -> None:
    cut = escape(text, limit)

    assert len(cut) <= limit
    back = cut.removesuffix("…").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.startswith(back)
    assert escape(back, 1000) == cut.removesuffix("…")


def test_bidirectional_and_control_characters_are_dropped() -> None:
    assert escape("a\u202eb\u2066c\x00\x1b\u200bd\n\te") == "abcd\n\te"


def test_words_too_long_for_a_button_are_left_out_and_not_cut() -> None:
    told = Card(title="t", buttons={"Long": "note 42 " + "x" * 2000, "Ack": "ack 42"})

    drawn = blocks(told)

    assert [button["value"] for button in _elements(drawn[-1])] == ["ack 42"]


def test_only_an_address_that_shows_where_it_leads_becomes_a_link() -> None:
    lines = ("plain http text", "https://ok.test/a", "https://bank.test@evil.test/")

    drawn = blocks(Card(title="t", lines=lines))

    texts = [block["text"] for block in drawn if block["type"] == "section"]
    assert texts == [
        {"type": "plain_text", "text": "plain http text", "emoji": False},
        {"type": "mrkdwn", "text": "<https://ok.test/a>", "verbatim": True},
        {"type": "plain_text", "text": "https://bank.test@evil.test/", "emoji": False},
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@UBOT> ack 42", "ack 42"),
        ("ack 42 <@UBOT>", "ack 42"),
        ("<@UBOT|vakhta> ack 42", "ack 42"),
        ("scale <http://prod.api|prod.api> 3", "scale prod.api 3"),
        ("note 42 see <https://x.test/a?b&amp;c>", "note 42 see https://x.test/a?b&c"),
        ("note 42 mail <mailto:a@b.test|a@b.test>", "note 42 mail a@b.test"),
        ("note 42 ask <@U2> and <@U3|bob> in <#C1|ops>, <!here>", "note 42 ask @U2 and @U3 in #ops, @here"),
        ("assign 42 <@U9|ana>", "assign 42 @U9"),
        ("note 42 <!date^1392734382^{date}|Feb 18>", "note 42 Feb 18"),
        ("note 42 <!subteam^S1|@dba>", "note 42 @dba"),
        ("`ack 42`", "ack 42"),
        ("```ack 42```", "ack 42"),
        ("note 42 “it’s” «fine»", 'note 42 "it\'s" "fine"'),
        ("note 42 a &lt; b &amp;&amp; c", "note 42 a < b && c"),
        ("note 42 &amp;lt;!channel&amp;gt;", "note 42 &lt;!channel&gt;"),
        ("ack\u00a042", "ack 42"),
        ("/ack   42", "ack 42"),
        ("", ""),
    ],
)
def test_row_66_mark_up_is_undone_once(text: str, words: str) -> None:
    assert plain_text_of(text, bot="UBOT") == words


@given(st.text(max_size=200))
def test_whatever_is_typed_becomes_trimmed_words(text: str) -> None:
    words = command_text("/vakhta", text)

    assert words
    assert words == words.strip()
    assert not words.startswith("/")


def _elements(block: dict[str, object]) -> list[dict[str, object]]:
    elements = block["elements"]
    assert isinstance(elements, list)
    return elements
