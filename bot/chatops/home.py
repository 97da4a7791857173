"""The overview of `home`, read in the request's own transaction: incidents, plans, runs, and who is on call.

A plan is listed for approval if the requester's approval would count now. The check is the one that an approval itself
has to pass, and it is made again then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.access.authorizer import Authorizer
from bot.access.decision import YES
from bot.access.policy import Policy
from bot.actions import approval_facts, approval_validity
from bot.core.catalog import Catalog
from bot.core.command import Overview
from bot.core.errors import Rejected
from bot.core.plan import Proposal, Risk
from bot.core.request import Request
from bot.store import plans as plan_rows
from bot.store import run_states, views
from bot.store.transaction import Tx

#: The most plans that are read. A plan waits for 15 minutes, so there are hardly ever more.
_MOST_PLANS = 100
#: The most runs that are read, and their greatest age.
_MOST_RUNS, _RUNS_OF = 50, timedelta(days=1)


def home_view(
    tx: Tx, authorizer: Authorizer, request: Request, risks: Mapping[str, Risk], limit: int, *, catalog: Catalog
) -> Overview:
    """`risks`: by verb; `limit`: the most incidents."""
    services = authorizer.policy.on_call_for(request.by.id)
    owned = services.union(catalog.services_of(request.by.id))
    held = views.own_incidents(tx.sql, request.by.id, sorted(owned), limit)
    waiting = plan_rows.waiting_plans(tx.sql, tx.now, _MOST_PLANS)
    return Overview(
        incidents=held.incidents,
        more=held.count - len(held.incidents),
        others=held.unresolved - held.count,
        to_approve=tuple(
            one
            for one in waiting
            if one.requester != request.by.id and _counts(tx, authorizer, request, one, risks.get(one.verb))
        ),
        requested=tuple(one for one in waiting if one.requester == request.by.id),
        runs=tuple(run_states.unsettled(tx.sql, request.by.id, tx.now - _RUNS_OF, _MOST_RUNS)),
        on_call=_on_call(authorizer.policy, services),
        owners={one.name: one.owner for one in catalog.services if one.owner},
    )


def _counts(tx: Tx, authorizer: Authorizer, request: Request, proposal: Proposal, risk: Risk | None) -> bool:
    """Whether the requester's approval of it would count. `risk` None: this version does not have its verb."""
    if risk is None or not authorizer.ever_allowed(request.by, YES):
        return False
    identity, verdict = (
        authorizer.linking.identity_of(tx, request),
        approval_facts.review_approvals(authorizer, tx, proposal, risk),
    )
    try:
        now = approval_facts.approver_state(authorizer, tx, proposal, identity)
        approval_validity.check_yes(proposal, identity, now, verdict, human=request.by.human)
    except Rejected:
        return False
    return verdict.stopped is None


def _on_call(policy: Policy, own: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    duties = policy.on_call_by_service()
    names = {one.id: one.display_name for one in policy.people_of(frozenset().union(*duties.values()))}
    return {
        service: tuple(names.get(one, one) for one in sorted(duties[service]))
        for service in sorted(duties, key=lambda service: (service not in own, service))
    }
