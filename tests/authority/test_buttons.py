"""Every button: its command is in the table, and a press is authorized as if the command had been typed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bot
from bot.core.audit import Code
from bot.core.incident import Status
from bot.core.message import Card
from bot.integrations.slack.blocks import blocks
from bot.integrations.telegram.html import CONFIRM
from bot.integrations.telegram.html import render_buttons as drawn_for_telegram
from bot.notifications import card as cards
from tests.authority.ground import ASKER, Ground, Night
from tests.authority.table import KINDS, SAID, expected
from tests.fakes.slack_values import rows_of

_EXPECTED = expected()
_BOT = Path(bot.__file__).parent
#: The files that make a card that may have buttons; another one has to be reviewed here first.
_MAKERS = {
    "bot/notifications/card.py",
    "bot/actions/approval.py",
    "commands/home.py",
    "bot/chatops/live_answers.py",
}
#: The file with the buttons of a live answer.
_LIVE_BUTTONS = "workloads/describe.py"
#: The board's own buttons.
_BOARD = {"ack", "resolve"}


def of_incident(ground: Ground, status: Status) -> Card:
    if status is not Status.OPEN:
        ground.says("ack 1" if status is Status.ACKED else "resolve 1", KINDS["admin"])
    return cards.incident_card(ground.house.incident(), cards.CardSettings(public_url="http://vakhta.example"))


def shown(ground: Ground) -> list[Card]:
    """Overviews, the cards of an incident in each of its states, and the two kinds of plan."""
    homes = [ground.says("home", KINDS[kind]).card for kind in ("on-call", "approver", "asker")]
    plan = ground.says("turn prod/web 7", ASKER).card
    found = [one for one in (*homes, plan) if one is not None]
    assert len(found) == 4
    return [*found, *(of_incident(ground, status) for status in (Status.OPEN, Status.ACKED, Status.RESOLVED))]


def test_only_these_files_draw_cards() -> None:
    found = {
        str(path.relative_to(_BOT.parent))
        for path in [*_BOT.rglob("*.py"), *(_BOT.parent / "commands").glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Card"
    }

    assert found == _MAKERS


def test_the_boards_own_buttons_say_words_of_the_table() -> None:
    drawn = (_BOT / "web" / "pages" / "draw.js").read_text(encoding="utf-8")

    assert set(re.findall(r"button\(\"[^\"]+\", `(\w+) ", drawn)) == _BOARD <= set(SAID)


def test_the_buttons_of_a_rollout_that_is_told_say_words_of_the_table() -> None:
    told = (_BOT / _LIVE_BUTTONS).read_text(encoding="utf-8")

    said = set(re.findall(r"f\"(\w+) \{service\}", told))

    assert {"promote", "abort"} <= said <= set(SAID)


def test_every_button_says_words_of_the_table_in_every_channel(ground: Ground) -> None:
    found = shown(ground)

    typed = {words for card in found for words in card.buttons.values()}
    telegram = {words for card in found for row in drawn_for_telegram(card) for _, words in row}
    slack = {
        str(one["value"])
        for card in found
        for block in blocks(card)
        if block["type"] == "actions"
        for one in rows_of(block["elements"])
        if "value" in one
    }
    assert {words.split()[0] for words in typed} == {"ack", "resolve", "yes", "no"}
    assert slack == typed
    assert {words.removeprefix(CONFIRM) for words in telegram} == typed, "it asks first, and then says the same"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_somebodys_offers_only_what_the_table_grants_them(still: Ground, kind: str) -> None:
    card = still.says("home", KINDS[kind]).card

    offered = {words.split()[0] for words in card.buttons.values()} if card else set()

    assert (card is None) == (_EXPECTED["home", kind] != "yes")
    assert [verb for verb in offered if _EXPECTED[verb, kind] != "yes"] == []


@pytest.mark.parametrize("label", ["Acknowledge", "Resolve", "Approve", "Drop it"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_press_is_judged_as_if_it_had_been_typed(
    request: pytest.FixtureRequest, still: Ground, night: Night, label: str, kind: str
) -> None:
    words = {**of_incident(still, Status.OPEN).buttons, **night.buttons}[label]
    cell = _EXPECTED[words.split()[0], kind]
    ground: Ground = request.getfixturevalue("ground") if cell == "yes" else still
    recorded = len(ground.record())

    reply = ground.says(words, KINDS[kind], here=1)

    assert reply.ok == (cell == "yes"), reply.text
    assert reply.ok or ground.record(recorded) == [Code.DENIED if cell == "no" else Code.REJECTED]
