"""Before a yes is weighed, the platforms of those whose words it rests on are asked anew: outside of any transaction.

What a platform said of an account or a group is believed for five minutes where somebody speaks. A yes that was said
minutes ago is not to rest on that, so before it is counted again the platform is asked; only where it does not answer,
what it said last is believed as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from bot import words
from bot.access import YES
from bot.accounts import Vouches
from bot.model import Ask
from bot.people import Account, as_settled
from bot.plans import State
from bot.ports import Rejected
from bot.sentence import Line
from bot.store import drawn as drawn_up
from bot.store.engine import Store


@dataclass(frozen=True, kw_only=True)
class Vouching:
    """`vouches`: the channels that can ask, by name."""

    store: Store
    vouches: Mapping[str, Vouches]

    def of(self, ask: Ask) -> Mapping[Account, str]:
        """What is against accounts, a sentence each, where this ask is a yes to a plan that several people decide."""
        verb, rest = words.split(ask.words)
        handle = _first(rest) if verb == YES else ""
        if not handle or not ask.by.id or not self.vouches:
            return {}
        found: dict[Account, str] = {}
        for place, accounts in self._concerned(ask, handle).items():
            told = self.vouches[place].vouch(sorted(accounts))
            found |= {(place, account): why for account, why in told.items() if why}
        return found

    def _concerned(self, ask: Ask, handle: str) -> Mapping[str, set[str]]:
        with self.store.read() as reading:
            plans = drawn_up.plans_like(reading.sql, handle)
        if len(plans) != 1 or plans[0].state is not State.SHOWN or not plans[0].needs:
            return {}
        by_place: dict[str, set[str]] = defaultdict(set)
        spoke = [one.from_account for one in (plans[0].asker, *plans[0].given)]
        for place, account in (*spoke, as_settled(ask.place, ask.account)):
            if account and place in self.vouches:
                by_place[place].add(account)
        return by_place


def _first(rest: str) -> str:
    """The first word as the counter will read it, which may stand in quotes; "" where it will refuse that."""
    try:
        return Line(rest, "").word()
    except Rejected:
        return ""
