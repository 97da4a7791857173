"""What must hold after the play, however the bot died in it."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from tests.crash.ledger import Row
from tests.crash.senders import Group
from tests.crash.stage import SHOWN, TRUTH, Stage


def check(stage: Stage, doubtful: set[int]) -> None:
    """`doubtful`: deliveries of which the bot could not know whether they had arrived. Only those may come twice."""
    lost = stage.sender.accepted - stage.ledger.episodes()
    assert not lost, f"accepted and lost: {lost}"
    assert stage.ledger.set_aside() == 0
    truth = {group.page_key: [state] for group, state in TRUTH.items()}
    assert stage.ledger.incidents() == truth
    rows = stage.ledger.deliveries()
    for group in TRUTH:
        own = [row for row in rows if row.page_key == group.page_key]
        _check_pages(stage, group, [row for row in own if row.kind == "page"], doubtful)
        _check_cards(stage, group, own)
    assert stage.ledger.orphans() == 0
    assert stage.ledger.sound()


def _check_pages(stage: Stage, group: Group, owed: list[Row], doubtful: set[int]) -> None:
    """In the order in which they were owed, each once; so there is no trigger after the resolve either."""
    expected = [row.action for row in owed]
    told = [one.action for one in stage.pagerduty.story if one.key == group.page_key]
    assert "trigger" in told, f"nobody was paged for {group.name}"
    assert _runs(told) == _runs(expected), f"{group.name}: {told} instead of {expected}"
    more = Counter(told) - Counter(expected)
    allowed = Counter(row.action for row in owed if row.id in doubtful)
    assert more <= allowed, f"{group.name}: {more} too many, {allowed} in doubt"


def _check_cards(stage: Stage, group: Group, owed: list[Row]) -> None:
    """One card that tells how it stands now, with each line of the story once in its thread."""
    (card,) = [row for row in owed if row.kind == "card"]
    posted = stage.cards(group)
    assert len(posted) == 1, f"{len(posted)} cards of {group.name}"
    standing = stage.slack.message(card.ref)
    assert SHOWN[TRUTH[group][0]] in standing.shown, f"the card of {group.name} says {standing.shown}"
    lines = [row for row in owed if row.kind == "line"]
    threads = {one.ts for one in posted}
    told = Counter(one.said for one in stage.slack.messages if one.thread_ts in threads)
    expected = Counter(row.said for row in lines)
    assert told == expected, f"{group.name}: told {told} instead of {expected}"


def _runs(actions: list[str]) -> list[str]:
    """Without immediate repetitions."""
    return [action for action, _ in groupby(actions)]
