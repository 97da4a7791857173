"""Before a yes is weighed, the platforms of those whose words it rests on are asked anew: outside of any transaction.

What a platform said of an account or a group is believed for five minutes where somebody speaks. A yes that was said
minutes ago is not to rest on that, so before it is counted again the platform is asked; only where it does not answer,
what it said last is believed as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from bot.access.decision import YES
from bot.chatops.tokens import Tokens
from bot.core.access import Account, canonical_account
from bot.core.channel import AccountVerifier
from bot.core.errors import Rejected
from bot.core.plan import PlanState
from bot.core.request import Request, split_verb
from bot.store import plans as drawn_up
from bot.store.engine import Store


@dataclass(frozen=True, kw_only=True)
class AccountVerification:
    """`verifiers`: the channels that can ask, by name."""

    store: Store
    verifiers: Mapping[str, AccountVerifier]

    def problems_of(self, request: Request) -> Mapping[Account, str]:
        """What is against accounts, a sentence each, where this ask is a yes to a plan that several people decide."""
        verb, rest = split_verb(request.text)
        handle = _first(rest) if verb == YES else ""
        if not handle or not request.by.id or not self.verifiers:
            return {}
        found: dict[Account, str] = {}
        for place, accounts in self._concerned(request, handle).items():
            told = self.verifiers[place].account_problems(sorted(accounts))
            found |= {(place, account): reason for account, reason in told.items() if reason}
        return found

    def _concerned(self, request: Request, handle: str) -> Mapping[str, set[str]]:
        with self.store.read() as reading:
            plans = drawn_up.find_plans(reading.sql, handle)
        if len(plans) != 1 or plans[0].state is not PlanState.SHOWN or not plans[0].approvals_needed:
            return {}
        by_place: dict[str, set[str]] = defaultdict(set)
        spoke = [one.from_account for one in (plans[0].requester_identity, *plans[0].approvals)]
        for place, account in (*spoke, canonical_account(request.channel, request.account)):
            if account and place in self.verifiers:
                by_place[place].add(account)
        return by_place


def _first(rest: str) -> str:
    """The first word as the counter will read it, which may stand in quotes; "" where it will refuse that."""
    try:
        return Tokens(rest, "").next_word()
    except Rejected:
        return ""
