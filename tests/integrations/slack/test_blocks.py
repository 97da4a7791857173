"""What a card becomes in Slack: nothing in it pings, pretends or is too long; and what people type becomes words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.message import Card
from bot.integrations.slack.blocks import blocks, context_block, escape, plain_text, summary, text_message, text_only
from bot.integrations.slack.text import command_text, plain_text_of
from tests.fakes.slack_rules import breaches, pings, unrendered

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


def test_a_command_in_a_line_is_drawn_as_code_and_the_line_beside_it_stays_literal() -> None:
    lines = ("*plain* text", "`undo ab12 a&b` undoes it.", "Say `yes` or `no`; see https://ok.test/a.")

    drawn = blocks(Card(title="t", lines=lines))

    assert [block["text"] for block in drawn if block["type"] == "section"] == [
        {"type": "plain_text", "text": "*plain* text", "emoji": False},
        {
            "type": "mrkdwn",
            "text": "`undo ab12 a&amp;b` undoes it.\nSay `yes` or `no`; see <https://ok.test/a.>",
            "verbatim": True,
        },
    ]


def test_an_address_inside_of_a_command_is_no_link() -> None:
    drawn = blocks(Card(title="t", lines=("`curl https://ok.test/a`",)))

    assert drawn[1]["text"] == {"type": "mrkdwn", "text": "`curl https://ok.test/a`", "verbatim": True}


def test_where_slack_draws_no_mark_up_a_command_stands_in_quotes() -> None:
    card = Card(title="Say `ack 42`", lines=("`runs` says why",), buttons={"Do `it`": "ack 42"})

    assert plain_text("Say `ack 42`", 50)["text"] == 'Say "ack 42"'
    assert blocks(card)[0]["text"] == plain_text('🔵 Say "ack 42"', 50)
    assert _elements(blocks(card)[-1])[0]["text"] == plain_text('Do "it"', 50)
    assert summary(card) == '🔵 Say "ack 42" | "runs" says why'
    assert "`" not in text_only(card)


def test_a_line_in_small_print_draws_its_command() -> None:
    assert _elements(context_block("`undo 7` undoes it.")) == [
        {"type": "mrkdwn", "text": "`undo 7` undoes it.", "verbatim": True}
    ]


def test_a_message_is_literal_unless_it_has_a_command_to_draw() -> None:
    assert text_message("*Ana* has it") == {"text": "*Ana* has it", "mrkdwn": False}
    assert text_message("`undo 7` undoes it & more") == {"text": "`undo 7` undoes it &amp; more", "mrkdwn": True}


@given(st.text(alphabet="ab `\n&<h", max_size=80), st.sampled_from([1, 900]))
@example("`` `<`````", 900)
def test_no_text_leaves_a_pair_of_backticks_that_slack_does_not_draw(text: str, copies: int) -> None:
    card = Card(title=text, lines=(text * copies, f"http://x.test {text}"), buttons={text: "ack 42"})

    drawn = [*blocks(card), context_block(text)]

    assert breaches(drawn) == []
    assert unrendered(summary(card), drawn, mrkdwn=False) == []
    assert unrendered(text_only(card), [], mrkdwn=False) == []


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
