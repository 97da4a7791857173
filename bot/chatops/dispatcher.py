"""The path of a command: text -> identity -> authorization -> plan -> approval -> intent -> run -> outcome.

Every request comes in here: slash command, button, chat message, command line, undo, timed undo. Each step is recorded
in the commit that takes it. A command that only changes incidents is done in that one commit. An action on the outside
world is planned outside of any transaction, approved, and run by the `Runner`.

A platform may deliver the same request more than once. Its id (`Request.idempotency_key`) and the answer are stored
with the effect, so a second delivery gets the first answer and has no effect.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot.access.break_glass import BreakGlass
from bot.actions import approval, plan_writer
from bot.actions.audit_entries import request_entry
from bot.actions.intent import NO_AUDIT, ApprovalLapsed
from bot.actions.runner import Runner
from bot.actions.showing import show_plan
from bot.chatops import parser, redelivered_answers
from bot.chatops import registry as verbs
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.action_target import target_of
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
from bot.core.form import Form, SubmittedForm
from bot.core.incident import OnCommit
from bot.core.plan import HANDLE_LENGTH, Outcome, Plan, PlanState, Proposal, Risk, plan_bytes, plan_digest
from bot.core.registry import Registry
from bot.core.request import SCHEDULER, Principal, Reply, Request, cleaned, split_verb
from bot.lib.failpoints import failpoint
from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties
from bot.store import audit_log, runs, views
from bot.store import plans as plan_rows
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: The verbs that the scheduler may begin by itself. Nothing else becomes one by a setting.
SCHEDULED_VERBS = frozenset({"drill"})


class Dispatcher:
    """Implements `core.channel.Gateway`. `on_commit` is called after each commit that changed something."""

    def __init__(
        self,
        store: Store,
        *,
        registry: Registry,
        break_glass: BreakGlass,
        account_verification: AccountVerification,
        tools: Tools,
        runner: Runner,
        live_answers: LiveAnswers,
        on_commit: OnCommit,
        cards: CardSettings | None = None,
        duties: Duties | None = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._authorizer = break_glass.authorizer
        self._break_glass = break_glass
        self._linking = break_glass.authorizer.linking
        self._parts = RequestParts(
            registry=registry,
            break_glass=break_glass,
            cards=cards or CardSettings(),
            services_seen=self._services_seen,
            targets=tools.targets,
            duties=duties,
        )
        self._account_verification = account_verification
        self._tools = tools
        self._runner = runner
        self._live_answers = live_answers
        self._on_commit = on_commit

    def handle(self, request: Request) -> Reply:
        """Do what is asked. A refusal is a reply with ok=False, and changes nothing but the record.

        Without a database an action, an approval or an undo is answered with a refusal. Any other request raises
        `Unavailable`: nothing was stored, and the platform should deliver it again.
        """
        request = cleaned(request)
        try:
            return self._handle_once(request)
        except Unavailable as trouble:
            verb, _ = split_verb(request.text)
            if verb not in self._registry.actions and verb not in ("yes", "undo"):
                raise
            return Reply(text=NO_AUDIT.format(why=trouble), ok=False)

    def _handle_once(self, request: Request) -> Reply:
        problems = self._account_verification.problems_of(request)
        with self._store.begin() as tx:
            unit = UnitOfWork(tx=tx, request=request, account_problems=problems)
            before = tx.find_reply(request.channel, request.idempotency_key) if request.idempotency_key else None
            if before is not None:
                unit.record(Code.REPLAYED, "delivered again; it had no second effect")
                return redelivered_answers.repeat_answer(before, request)
            first = RequestHandler(unit, self._parts).handle()
            reply = redelivered_answers.prepend_messages(pending := self._linking.pending_messages(tx, request), first)
            if request.idempotency_key:
                message = redelivered_answers.UNDER_WAY if unit.next_step else reply.storable_text
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
        if unit.next_step is None:
            return reply
        reply = redelivered_answers.prepend_messages(pending, self._continue(unit.next_step, request))
        if request.idempotency_key:
            self._store_answer(request, reply)
        return reply

    def _store_answer(self, request: Request, reply: Reply) -> None:
        """Store the final answer, for a second delivery. A failure is only logged: the requester is answered anyway."""
        try:
            with self._store.begin() as tx:
                tx.update_reply(request.channel, request.idempotency_key, reply.text, ok=reply.ok)
        except Unavailable as trouble:
            logger.warning("an answer could not be stored", extra={"place": request.channel, "why": str(trouble)})

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

    def _services_seen(self) -> list[str]:
        """For the check of a form, which is made again when its command is handled."""
        try:
            with self._store.read() as reading:
                return views.services_of_alerts(reading.sql)
        except Unavailable:
            return []

    def record_refusal(self, request: Request, reason: str) -> bool:
        request = cleaned(request)
        with self._store.begin() as tx:
            if request.idempotency_key and tx.find_reply(request.channel, request.idempotency_key) is not None:
                return True
            if request.idempotency_key:
                tx.save_reply(request.channel, request.idempotency_key, "", ok=True, account=request.account)
            audit_log.append(tx, [request_entry(request, Code.DENIED if request.text else Code.REJECTED, reason, None)])
            return False

    def menu(self) -> tuple[CommandInfo, ...]:
        return tuple(self._registry.usable.values())

    def undo_automatically(self, run: Run, reason: str) -> Reply:
        """Undo a run whose time is over or whose check failed. Its approved plan announced that: no new approval."""
        with self._store.read() as reading:
            proposal = runs.plan_of_run(reading.sql, run)
        request = Request(by=SCHEDULER, text=run.undo, channel="watch", incident_id=proposal.incident_id)
        return self._continue(UndoStep(run=run, reason=reason), request)

    def run_scheduled(self, text: str, reason: str) -> Reply:
        """Begin what the settings schedule, as the scheduler: planned, audited and run as every action, with nobody's
        approval. So it is refused where its plan asks for one. `reason`: why it is due, in a few words.
        """
        request = cleaned(Request(by=SCHEDULER, text=text, channel=SCHEDULER.id))
        try:
            step = self._scheduled_step(request, reason)
        except Rejected as refused:
            self._record(request, Code.DENIED, refused.message)
            return Reply(text=refused.message, ok=False)
        return self._continue(step, request)

    def _scheduled_step(self, request: Request, reason: str) -> PlanStep:
        """Raises `Rejected`: the settings do not schedule it, or a freeze is on."""
        verb, rest = split_verb(request.text)
        if verb not in SCHEDULED_VERBS:
            message = f"{verb[:40]!r} is never begun by the scheduler. Nothing was done."
            raise Rejected(message, code="not_scheduled", status=403)
        action = self._registry.action(verb)
        args = parser.parse(action.args, rest, None, action.usage)
        with self._store.begin() as tx:
            target = target_of(tx.sql, action, args)
            decision = self._authorizer.decide_scheduled(tx, request, verb, target, reason)
        if not decision.allowed:
            raise Rejected(denied(decision), code="denied", status=403)
        return PlanStep(action=action, args=args, request=request, decision=decision, target=target)

    def _continue(self, step: NextStep, request: Request) -> Reply:
        """The steps outside of the request's transaction."""
        try:
            return self._step(step, request)
        except Unavailable as trouble:  # before the run starts; the run handles its own failures
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
        """Between the last approval and the intent an approval, or the request itself, has lost its validity."""
        proposal, verdict = lapsed.proposal, lapsed.verdict
        over = verdict.stopped is not None
        with self._store.begin() as tx:
            if over:
                plan_rows.set_stopped(tx, proposal.handle, PlanState.STOPPED)
                audit_log.append(tx, [request_entry(request, Code.DENIED, lapsed.message, proposal)])
            else:
                plan_rows.set_waiting_again(tx, proposal.handle)
            written = plan_writer.write_lapses(tx, proposal, verdict, request, self._break_glass.subscriptions)
        self._on_commit(written)
        return Reply(text=lapsed.message, ok=False, shared=True, plan_closed=over)

    def _plan(self, step: PlanStep, differences: tuple[str, ...] = ()) -> Reply:
        """Read the current state, and show what would be done."""
        action, request = step.action, step.request
        if not action.read_only:
            self._check_external_policy(request, action.verb, step.target)
        undoes = step.undo_of.id if step.undo_of else ""
        plan = inspect(partial(action.plan, step.args, replace(self._tools, by=request.by, undo_of=undoes)))
        if action.read_only:
            return self._answer(step, plan)
        if step.undo_of is not None:
            differ = approval.changed_since(dict(step.undo_of.expected_state), plan)
            if differ:
                message = f"It was changed after run {step.undo_of.id[:HANDLE_LENGTH]}: {'; '.join(differ)}."
                hint = "Nothing was done. Check its state, and use a new command."
                raise Rejected(f"{message} {hint}", code="changed_since", status=409)
        needs = approval.approvals_needed(action.risk, step.decision, plan)
        if (needs or plan.confirm_name) and not request.by.human and step.undo_of is None:
            message = f"{request.text} needs the approval of a person. Nothing was done. Ask for it in a chat."
            raise Rejected(message, code="needs_approval", status=403)
        at_once = (action.risk is Risk.NONE and needs == 0) or not request.by.human
        proposal = proposal_for(step, plan, needs, now=self._store.now())
        if not at_once:
            return self._show(step, proposal, differences)
        proposal = replace(proposal, state=PlanState.APPROVED)
        with self._store.begin() as tx:
            proposal = self._with_account(tx, proposal, request)
            written = plan_writer.write_proposal(tx, proposal, request, step.decision, self._break_glass.subscriptions)
        self._on_commit(written)
        return self._runner.start(proposal, request.by, request, step.decision, undo_of=step.undo_of)

    def _show(self, step: PlanStep, proposal: Proposal, differences: tuple[str, ...]) -> Reply:
        """Store the plan and show it, or show the one of the same request that waits already."""
        request = step.request
        with self._store.begin() as tx:
            proposal = self._with_account(tx, proposal, request)
            shown = show_plan(tx, proposal, request, step.decision, risk=step.action.risk, rights=self._break_glass)
        self._on_commit(shown.written)
        card = approval.plan_card(
            shown.proposal,
            request.by.display_name,
            step.action.limits,
            differences,
            notes=shown.notes,
            approvers=shown.approvers,
            missing=shown.missing,
        )
        return Reply(text="\n".join((card.title, *card.lines)), card=card)

    def _with_account(self, tx: Tx, proposal: Proposal, request: Request) -> Proposal:
        asker = self._linking.identity_of(tx, request)
        return replace(proposal, account=asker.account, accounts=asker.accounts)

    def _answer(self, step: PlanStep, plan: Plan) -> Reply:
        """Answer a read-only action. It runs nothing, so it needs no approval and no sealed intent."""
        look = partial(step.action.run, step.args, plan, "", step.request.by, replace(self._tools, by=step.request.by))
        outcome = inspect(look)
        self._record(step.request, Code.ANSWERED, outcome.message.partition("\n")[0])
        return self._live_answers.reply(step.request, outcome, partial(self._inspect_again, step, plan.target, look))

    def _inspect_again(self, step: PlanStep, target: str, look: Inspect) -> Outcome:
        """Read again for a live answer, which is updated minutes after the request: the right to it is checked anew."""
        with self._store.begin() as tx:
            if not self._authorizer.still_allowed(tx, step.request, step.action.verb, target):
                raise Rejected("The requester may no longer use this command.", code="denied", status=403)
        return look()

    def _run(self, step: RunStep, request: Request) -> Reply:
        """Plan again, and run the plan if it is still the one that was approved."""
        proposal = step.proposal
        action = self._registry.action(proposal.verb)
        args = verbs.args_of(self._registry, proposal)
        first = request_of(proposal, step.requester)
        self._check_external_policy(first, action.verb, proposal.plan.target)
        plan = inspect(partial(action.plan, args, replace(self._tools, by=first.by, undo_of=proposal.undo_of)))
        digest = plan_digest(plan_bytes(proposal.verb, proposal.command, plan))
        if digest == proposal.digest:
            return self._runner.start(proposal, step.requester, request, step.decision, step.account_problems)
        differences = approval.changed_preconditions(proposal.plan, plan)
        self._record(request, Code.MOVED, "; ".join(differences), proposal, now=PlanState.MOVED)
        with self._store.begin() as tx:
            first = replace(
                first, by=self._authorizer.person(tx, proposal.requester) or Principal(id=proposal.requester)
            )
            decision = self._authorizer.decide_action(tx, first, action.verb, plan.target)
            undo_of = runs.get_run(tx.sql, proposal.undo_of) if proposal.undo_of else None
        if not decision.allowed:
            raise Rejected(
                f"Plan {proposal.short_handle} is out of date. {denied(decision)}", code="denied", status=403
            )
        again = PlanStep(
            action=action, args=args, request=first, decision=decision, target=plan.target, undo_of=undo_of
        )
        shown = self._plan(again, differences)
        message = f"Plan {proposal.short_handle} is out of date. Nothing was done. The new plan:"
        return replace(shown, text=f"{message}\n{shown.text}", ok=False)

    def _undo(self, step: UndoStep, request: Request) -> Reply:
        """Plan the undo command of a run as if it had been typed. The scheduler's right to it comes from the run."""
        run = step.run
        verb, rest = split_verb(run.undo)
        action = self._registry.action(verb)
        asked = replace(request, text=run.undo)
        args = parser.parse(
            action.args, rest, asked.incident_id, action.usage, known=self._authorizer.known_names(asked)
        )
        with self._store.begin() as tx:
            target = target_of(tx.sql, action, args)
            decision = self._authorizer.decide_undo(tx, asked, verb, target, step.reason)
        if not decision.allowed:
            self._record(asked, Code.DENIED, decision.reason)
            return Reply(text=denied(decision), ok=False)
        return self._plan(
            PlanStep(action=action, args=args, request=asked, decision=decision, target=target, undo_of=run)
        )

    def _check_external_policy(self, request: Request, verb: str, target: str) -> None:
        """Raises `DeniedExternally` if the external policy denies it. An undo by the scheduler is not asked about: the
        approved plan announced it.
        """
        if self._authorizer.external_policy is None or not request.by.human:
            return
        with self._store.begin() as tx:
            find_objection = self._authorizer.external_denial(tx, request, verb, target)
        objection = find_objection()
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
        """Record a refusal or an answer. A plan gets the state `now`: it can no longer run."""
        with self._store.begin() as tx:
            if proposal is not None:
                plan_rows.set_stopped(tx, proposal.handle, now)
            audit_log.append(tx, [request_entry(request, code, message, proposal, target=target)])
