"""Before an approval counts, asks the platforms anew about the accounts that the plan depends on.

For ordinary requests a platform's answer about an account or a group is cached for five minutes. An approval given
minutes ago must not depend on such a cached answer, so the platform is asked again before the approvals are counted. If
it does not respond, its last answer still applies. The network calls are made outside of any transaction.
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
from bot.store import plans as plan_rows
from bot.store.engine import Store


@dataclass(frozen=True, kw_only=True)
class AccountVerification:
    """`verifiers`: the channels whose platform can be asked, by name."""

    store: Store
    verifiers: Mapping[str, AccountVerifier]

    def problems_of(self, request: Request) -> Mapping[Account, str]:
        """The accounts that may not count, each with the reason. Empty unless this request approves a shared plan."""
        verb, rest = split_verb(request.text)
        handle = _first(rest) if verb == YES else ""
        if not handle or not request.by.id or not self.verifiers:
            return {}
        found: dict[Account, str] = {}
        for channel, accounts in self._concerned(request, handle).items():
            problems = self.verifiers[channel].account_problems(sorted(accounts))
            found |= {(channel, account): reason for account, reason in problems.items() if reason}
        return found

    def _concerned(self, request: Request, handle: str) -> Mapping[str, set[str]]:
        with self.store.read() as reading:
            plans = plan_rows.find_plans(reading.sql, handle)
        if len(plans) != 1 or plans[0].state is not PlanState.SHOWN or not plans[0].approvals_needed:
            return {}
        by_channel: dict[str, set[str]] = defaultdict(set)
        accounts = [one.from_account for one in (plans[0].requester_identity, *plans[0].approvals)]
        for channel, account in (*accounts, canonical_account(request.channel, request.account)):
            if account and channel in self.verifiers:
                by_channel[channel].add(account)
        return by_channel


def _first(rest: str) -> str:
    """The first word as the parser will read it, with quotes removed; "" if the parser will refuse it."""
    try:
        return Tokens(rest, "").next_word()
    except Rejected:
        return ""
