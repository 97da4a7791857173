"""PATH 2, the door for people: words -> who -> may they -> plan -> yes -> intent -> run -> outcome.

Whatever its mouth (slash command, button, chat line, command line, undo, timed revert), an ask comes in here, and every
step of it is on record in the commit that takes the step. What only changes incidents is done in that one commit. What
changes the outside world is planned outside any transaction, approved, and run by `runs`.

A platform delivers an act more than once; its id (`Ask.idempotency_key`) and what was answered are stored with the
effect, so the second delivery finds the first one's answer and has no effect of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot.access.break_glass import BreakGlass
from bot.actions import approval, lapsed_approvals, plan_storage
from bot.actions.intent import NO_AUDIT, ApprovalLapsed
from bot.actions.records import audit_entry
from bot.actions.runner import Runner
from bot.chatops import parser, redelivered_answers
from bot.chatops import registry as verbs
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.context.handler import RequestHandler, denied
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.live_answers import Inspect, LiveAnswers
from bot.chatops.next_steps import (
    DeniedExternally,
    NextStep,
    PlanStep,
    RunStep,
    UndoStep,
    inspect,
    proposal_for,
    request_of,
)
from bot.chatops.registry import RequestParts
from bot.core.access import Decision
from bot.core.action import Tools
from bot.core.audit import Code
from bot.core.channel import CommandInfo
from bot.core.errors import Rejected
from bot.core.incident import OnCommit
from bot.core.plan import HANDLE_LENGTH, Outcome, Plan, PlanState, Proposal, Risk, plan_bytes, plan_digest
from bot.core.registry import Registry
from bot.core.request import SCHEDULER, Form, Principal, Reply, Request, SubmittedForm, cleaned, split_verb
from bot.lib.failpoints import failpoint
from bot.store import audit_log, runs
from bot.store import plans as drawn_up
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run

logger = logging.getLogger(__name__)


class Dispatcher:
    """Implements `ports.Gateway`. `told` is called after each commit that changed something."""

    def __init__(
        self,
        store: Store,
        *,
        registry: Registry,
        break_glass: BreakGlass,
        vouching: AccountVerification,
        tools: Tools,
        runner: Runner,
        following: LiveAnswers,
        on_commit: OnCommit,
    ) -> None:
        self._store = store
        self._registry = registry
        self._rights = break_glass.authorizer
        self._break_glass = break_glass
        self._linking = break_glass.authorizer.linking
        self._parts = RequestParts(registry=registry, break_glass=break_glass)
        self._vouching = vouching
        self._tools = tools
        self._runner = runner
        self._following = following
        self._on_commit = on_commit

    def handle(self, request: Request) -> Reply:
        """Do what was asked. A refusal is a reply with ok=False; what a person is refused changes nothing.

        An action that cannot be recorded is refused in words. Anything else raises `Unavailable`: it was not stored,
        and the platform is to send it again.
        """
        request = cleaned(request)
        try:
            return self._ask(request)
        except Unavailable as trouble:
            verb, _ = split_verb(request.text)
            if verb not in self._registry.actions and verb not in ("yes", "undo"):
                raise
            return Reply(text=NO_AUDIT.format(why=trouble), ok=False)

    def _ask(self, request: Request) -> Reply:
        outside = self._vouching.problems_of(request)
        with self._store.begin() as tx:
            unit = UnitOfWork(tx=tx, request=request, outside=outside)
            before = tx.find_reply(request.channel, request.idempotency_key) if request.idempotency_key else None
            if before is not None:
                unit.record(Code.REPLAYED, "delivered again; it had no second effect")
                return redelivered_answers.repeat_answer(before, request)
            first = RequestHandler(unit, self._parts).handle()
            reply = redelivered_answers.prepend_messages(
                words_for := self._linking.pending_messages(tx, request), first
            )
            if request.idempotency_key:
                message = redelivered_answers.UNDER_WAY if unit.after else reply.storable_text
                tx.save_reply(
                    request.channel,
                    request.idempotency_key,
                    message,
                    ok=reply.ok,
                    person=request.by.id,
                    account=request.account,
                )
            failpoint("desk.written")
        failpoint("desk.committed")
        if unit.written:
            self._on_commit(unit.written)
        if unit.after is None:
            return reply
        reply = redelivered_answers.prepend_messages(words_for, self._go_on(unit.after, request))
        if request.idempotency_key:
            self._answer_again(request, reply)
        return reply

    def _answer_again(self, request: Request, reply: Reply) -> None:
        """For those to whom it is delivered a second time; whoever asked first is answered in any case."""
        try:
            with self._store.begin() as tx:
                tx.update_reply(request.channel, request.idempotency_key, reply.text, ok=reply.ok)
        except Unavailable as trouble:
            logger.warning("an answer is not kept", extra={"place": request.channel, "why": str(trouble)})

    def person(self, channel: str, account: str) -> Principal | None:
        return self._linking.person(self._store, channel, account)

    def incident_at(self, channel: str, ref: str) -> int | None:
        with self._store.read() as reading:
            return reading.standing_at(channel, ref)

    def incident_paged_as(self, page_key: str) -> int | None:
        with self._store.read() as reading:
            return reading.paged_as(page_key)

    def form(self, request: Request) -> Form | None:
        return verbs.form_of(self._parts, cleaned(request))

    def submit_form(self, request: Request, values: Mapping[str, str]) -> SubmittedForm:
        return verbs.fill(self._parts, cleaned(request), values)

    def record_refusal(self, request: Request, reason: str) -> bool:
        request = cleaned(request)
        with self._store.begin() as tx:
            if request.idempotency_key and tx.find_reply(request.channel, request.idempotency_key) is not None:
                return True
            if request.idempotency_key:
                tx.save_reply(request.channel, request.idempotency_key, "", ok=True, account=request.account)
            audit_log.append(tx, [audit_entry(request, Code.DENIED if request.text else Code.REJECTED, reason, None)])
            return False

    def menu(self) -> tuple[CommandInfo, ...]:
        return tuple(self._registry.all.values())

    def undo_automatically(self, run: Run, reason: str) -> Reply:
        """Undo it because its time is over or its check failed; nobody has to say yes to what the plan announced."""
        with self._store.read() as reading:
            proposal = runs.plan_of_run(reading.sql, run)
        request = Request(by=SCHEDULER, text=run.undo, channel="watch", incident_id=proposal.incident_id)
        return self._go_on(UndoStep(run=run, reason=reason), request)

    def _go_on(self, step: NextStep, request: Request) -> Reply:
        """What is done outside of the ask's transaction."""
        try:
            return self._step(step, request)
        except Unavailable as trouble:  # before its run, which tells its own trouble
            approved = isinstance(step, RunStep)
            return Reply(text=NO_AUDIT.format(why=trouble), ok=False, shared=approved, plan_closed=approved)

    def _step(self, step: NextStep, request: Request) -> Reply:
        try:
            match step:
                case PlanStep():
                    return self._plan(step)
                case RunStep():
                    return replace(self._run(step, request), shared=True, plan_closed=True)
                case UndoStep():
                    return self._undo(step, request)
        except ApprovalLapsed as lapsed:
            return self._wait_again(lapsed, request)
        except Rejected as refused:
            proposal = step.proposal if isinstance(step, RunStep) else None
            code = Code.DENIED if isinstance(refused, DeniedExternally) else Code.REJECTED
            target = refused.target if isinstance(refused, DeniedExternally) else ""
            self._record(request, code, refused.message, proposal, target=target)
            return Reply(text=refused.message, ok=False, shared=proposal is not None, plan_closed=proposal is not None)

    def _wait_again(self, lapsed: ApprovalLapsed, request: Request) -> Reply:
        """Between the last yes and the intent somebody's word has ceased to count."""
        proposal, verdict = lapsed.proposal, lapsed.verdict
        over = verdict.stopped is not None
        with self._store.begin() as tx:
            if over:
                drawn_up.set_stopped(tx, proposal.handle, PlanState.STOPPED)
                audit_log.append(tx, [audit_entry(request, Code.DENIED, lapsed.message, proposal)])
            else:
                drawn_up.set_waiting_again(tx, proposal.handle)
            written = lapsed_approvals.write(tx, proposal, verdict, request, self._break_glass.subscriptions)
        self._on_commit(written)
        return Reply(text=lapsed.message, ok=False, shared=True, plan_closed=over)

    def _plan(self, step: PlanStep, differences: tuple[str, ...] = ()) -> Reply:
        """Look at the world, and show what would be done to it."""
        action, request = step.action, step.request
        if not action.read_only:
            self._hear_opinion(request, action.verb, action.target(step.args))
        undoes = step.undo_of.id if step.undo_of else ""
        plan = inspect(partial(action.plan, step.args, replace(self._tools, by=request.by, undo_of=undoes)))
        if action.read_only:
            return self._answer(step, plan)
        if step.undo_of is not None:
            differ = approval.changed_since(dict(step.undo_of.expected_state), plan)
            if differ:
                message = f"Somebody has changed it since run {step.undo_of.id[:HANDLE_LENGTH]}: {'; '.join(differ)}."
                raise Rejected(f"{message} Nothing was done; look first.", code="changed_since", status=409)
        needs = approval.approvals_needed(action.risk, step.decision, plan)
        at_once = (action.risk is Risk.NONE and needs == 0) or not request.by.human
        proposal = proposal_for(step, plan, needs, now=self._store.now())
        proposal = replace(proposal, state=PlanState.APPROVED if at_once else PlanState.SHOWN)
        with self._store.begin() as tx:
            asker = self._linking.identity_of(tx, request)
            proposal = replace(proposal, account=asker.account, accounts=asker.accounts)
            written = plan_storage.write(tx, proposal, request, step.decision, self._break_glass.subscriptions)
        self._on_commit(written)
        if at_once:
            return self._runner.start(proposal, request.by, request, step.decision, undo_of=step.undo_of)
        limits = tuple(f"{name} {message}" for name, message in action.limits.items())
        card = approval.plan_card(proposal, request.by.display_name, limits, differences)
        return Reply(text="\n".join((card.title, *card.lines)), card=card)

    def _answer(self, step: PlanStep, plan: Plan) -> Reply:
        """A question to the world: nothing is run, so nothing has to be approved or sealed first."""
        look = partial(step.action.run, step.args, plan, "", step.request.by, replace(self._tools, by=step.request.by))
        outcome = inspect(look)
        self._record(step.request, Code.ANSWERED, outcome.message.partition("\n")[0])
        return self._following.reply(step.request, outcome, partial(self._look_again, step, plan.target, look))

    def _look_again(self, step: PlanStep, target: str, look: Inspect) -> Outcome:
        """For an answer that is told again as it goes on, minutes after it was asked for."""
        with self._store.begin() as tx:
            if not self._rights.still_allowed(tx, step.request, step.action.verb, target):
                raise Rejected("Whoever asked may not ask it any more.", code="denied", status=403)
        return look()

    def _run(self, step: RunStep, request: Request) -> Reply:
        """Plan it again, and run it if it is still the plan that was approved."""
        proposal = step.proposal
        action = self._registry.action(proposal.verb)
        args = verbs.args_of(self._registry, proposal)
        first = request_of(proposal, step.requester)
        self._hear_opinion(first, action.verb, proposal.plan.target)
        plan = inspect(partial(action.plan, args, replace(self._tools, by=first.by, undo_of=proposal.undo_of)))
        digest = plan_digest(plan_bytes(proposal.verb, proposal.command, plan))
        if digest == proposal.digest:
            return self._runner.start(proposal, step.requester, request, step.decision, step.outside)
        differences = approval.changed_preconditions(proposal.plan, plan)
        self._record(request, Code.MOVED, "; ".join(differences), proposal, now=PlanState.MOVED)
        with self._store.begin() as tx:
            first = replace(first, by=self._rights.person(tx, proposal.requester) or Principal(id=proposal.requester))
            decision = self._rights.decide_action(tx, first, action.verb, plan.target)
            undoes = runs.get_run(tx.sql, proposal.undo_of) if proposal.undo_of else None
        if not decision.allowed:
            raise Rejected(
                f"The world moved since plan {proposal.short_handle}. {denied(decision)}", code="denied", status=403
            )
        again = PlanStep(action=action, args=args, request=first, decision=decision, undo_of=undoes)
        shown = self._plan(again, differences)
        message = (
            f"The world moved since plan {proposal.short_handle}: {'; '.join(differences)}. Nothing was "
            "done. The new plan:"
        )
        return replace(shown, text=f"{message}\n{shown.text}", ok=False)

    def _undo(self, step: UndoStep, request: Request) -> Reply:
        """The words that a run left are asked as if they had been typed; where the watch asks, the run allows it."""
        run = step.run
        verb, rest = split_verb(run.undo)
        action = self._registry.action(verb)
        asked = replace(request, text=run.undo)
        args = parser.parse(action.args, rest, asked.incident_id, action.usage, known=self._rights.known_names(asked))
        with self._store.begin() as tx:
            decision = self._rights.decide_undo(tx, asked, verb, action.target(args), step.reason)
        if not decision.allowed:
            self._record(asked, Code.DENIED, decision.reason)
            return Reply(text=denied(decision), ok=False)
        return self._plan(PlanStep(action=action, args=args, request=asked, decision=decision, undo_of=run))

    def _hear_opinion(self, request: Request, verb: str, target: str) -> None:
        """Raises `DeniedExternally` when the second opinion is against it; not about the watch's undo of an approved
        plan.
        """
        if self._rights.external_policy is None or not request.by.human:
            return
        with self._store.begin() as tx:
            opinion = self._rights.external_denial(tx, request, verb, target)
        objection = opinion()
        if objection:
            raise DeniedExternally(denied(Decision(allowed=False, reason=objection)), target)

    def _record(
        self,
        request: Request,
        code: Code,
        message: str,
        proposal: Proposal | None = None,
        *,
        target: str = "",
        now: PlanState = PlanState.STOPPED,
    ) -> None:
        """What became of it; a plan that was approved gets no run any more, and is `now` this."""
        with self._store.begin() as tx:
            if proposal is not None:
                drawn_up.set_stopped(tx, proposal.handle, now)
            audit_log.append(tx, [audit_entry(request, code, message, proposal, target=target)])
