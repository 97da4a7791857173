"""PATH 2, the door for people: words -> who -> may they -> plan -> yes -> intent -> run -> outcome.

Whatever its mouth (slash command, button, chat line, command line, undo, timed revert), an ask comes in here, and every
step of it is on record in the commit that takes the step. What only changes incidents is done in that one commit. What
changes the outside world is planned outside any transaction, approved, and run by `runs`.

A platform delivers an act more than once; its id (`Ask.once`) and what was answered are stored with the effect, so the
second delivery finds the first one's answer and has no effect of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot import answers, grammar, lapses, plans, showing, verbs, words
from bot.acting import Tools
from bot.acts import Code, Decision, Outcome, Plan, Risk
from bot.breaking import Breaking
from bot.desk.handler import RequestHandler, denied
from bot.desk.unit_of_work import UnitOfWork
from bot.failpoints import failpoint
from bot.following import Following, Look
from bot.forms import Filled, Form
from bot.intents import NO_AUDIT, Lapsed
from bot.model import Ask, Principal, Reply
from bot.plans import WATCH, Drawn, State
from bot.ports import Rejected, Sayable
from bot.runs import Runs
from bot.steps import Approved, Next, Objected, Planned, Undoing, asked, drawn_for, entry_of, looked
from bot.store import drawn as drawn_up
from bot.store import ledger, ran
from bot.store.engine import Store, Unavailable
from bot.store.ran import Run
from bot.story import Told
from bot.verbs import Parts, Verbs
from bot.vouching import Vouching

logger = logging.getLogger(__name__)


class Gate:
    """Implements `ports.Door`. `told` is called after each commit that changed something."""

    def __init__(
        self,
        store: Store,
        *,
        verbs: Verbs,
        breaking: Breaking,
        vouching: Vouching,
        tools: Tools,
        runs: Runs,
        following: Following,
        told: Told,
    ) -> None:
        self._store = store
        self._verbs = verbs
        self._rights = breaking.rights
        self._breaking = breaking
        self._linking = breaking.rights.linking
        self._parts = Parts(verbs=verbs, breaking=breaking)
        self._vouching = vouching
        self._tools = tools
        self._runs = runs
        self._following = following
        self._told = told

    def ask(self, ask: Ask) -> Reply:
        """Do what was asked. A refusal is a reply with ok=False; what a person is refused changes nothing.

        An action that cannot be recorded is refused in words. Anything else raises `Unavailable`: it was not stored,
        and the platform is to send it again.
        """
        ask = verbs.clean(ask)
        try:
            return self._ask(ask)
        except Unavailable as trouble:
            verb, _ = words.split(ask.words)
            if verb not in self._verbs.actions and verb not in ("yes", "undo"):
                raise
            return Reply(said=NO_AUDIT.format(why=trouble), ok=False)

    def _ask(self, ask: Ask) -> Reply:
        outside = self._vouching.of(ask)
        with self._store.begin() as tx:
            unit = UnitOfWork(tx=tx, ask=ask, outside=outside)
            before = tx.answered(ask.place, ask.once) if ask.once else None
            if before is not None:
                unit.record(Code.REPLAYED, "delivered again; it had no second effect")
                return answers.again(before, ask)
            first = RequestHandler(unit, self._parts).handle()
            reply = answers.below(words_for := self._linking.words_for(tx, ask), first)
            if ask.once:
                said = answers.UNDER_WAY if unit.after else reply.stored
                tx.answer(ask.place, ask.once, said, ok=reply.ok, person=ask.by.id, account=ask.account)
            failpoint("desk.written")
        failpoint("desk.committed")
        if unit.written:
            self._told(unit.written)
        if unit.after is None:
            return reply
        reply = answers.below(words_for, self._go_on(unit.after, ask))
        if ask.once:
            self._answer_again(ask, reply)
        return reply

    def _answer_again(self, ask: Ask, reply: Reply) -> None:
        """For those to whom it is delivered a second time; whoever asked first is answered in any case."""
        try:
            with self._store.begin() as tx:
                tx.answer_again(ask.place, ask.once, reply.said, ok=reply.ok)
        except Unavailable as trouble:
            logger.warning("an answer is not kept", extra={"place": ask.place, "why": str(trouble)})

    def person(self, place: str, account: str) -> Principal | None:
        return self._linking.person(self._store, place, account)

    def standing_at(self, place: str, ref: str) -> int | None:
        with self._store.read() as reading:
            return reading.standing_at(place, ref)

    def paged_as(self, page_key: str) -> int | None:
        with self._store.read() as reading:
            return reading.paged_as(page_key)

    def form(self, ask: Ask) -> Form | None:
        return verbs.form_of(self._parts, verbs.clean(ask))

    def fill(self, ask: Ask, values: Mapping[str, str]) -> Filled:
        return verbs.fill(self._parts, verbs.clean(ask), values)

    def turn_away(self, ask: Ask, why: str) -> bool:
        ask = verbs.clean(ask)
        with self._store.begin() as tx:
            if ask.once and tx.answered(ask.place, ask.once) is not None:
                return True
            if ask.once:
                tx.answer(ask.place, ask.once, "", ok=True, account=ask.account)
            ledger.record(tx, [entry_of(ask, Code.DENIED if ask.words else Code.REJECTED, why, None)])
            return False

    def menu(self) -> tuple[Sayable, ...]:
        return tuple(self._verbs.all.values())

    def reverse(self, run: Run, why: str) -> Reply:
        """Undo it because its time is over or its check failed; nobody has to say yes to what the plan announced."""
        with self._store.read() as reading:
            drawn = ran.plan_of_run(reading.sql, run)
        ask = Ask(by=WATCH, words=run.undo, place="watch", incident_id=drawn.incident_id)
        return self._go_on(Undoing(run=run, why=why), ask)

    def _go_on(self, step: Next, ask: Ask) -> Reply:
        """What is done outside of the ask's transaction."""
        try:
            return self._step(step, ask)
        except Unavailable as trouble:  # before its run, which tells its own trouble
            approved = isinstance(step, Approved)
            return Reply(said=NO_AUDIT.format(why=trouble), ok=False, shared=approved, over=approved)

    def _step(self, step: Next, ask: Ask) -> Reply:
        try:
            match step:
                case Planned():
                    return self._plan(step)
                case Approved():
                    return replace(self._run(step, ask), shared=True, over=True)
                case Undoing():
                    return self._undo(step, ask)
        except Lapsed as lapsed:
            return self._wait_again(lapsed, ask)
        except Rejected as refused:
            drawn = step.drawn if isinstance(step, Approved) else None
            code = Code.DENIED if isinstance(refused, Objected) else Code.REJECTED
            target = refused.target if isinstance(refused, Objected) else ""
            self._record(ask, code, refused.said, drawn, target=target)
            return Reply(said=refused.said, ok=False, shared=drawn is not None, over=drawn is not None)

    def _wait_again(self, lapsed: Lapsed, ask: Ask) -> Reply:
        """Between the last yes and the intent somebody's word has ceased to count."""
        drawn, verdict = lapsed.drawn, lapsed.verdict
        over = verdict.stopped is not None
        with self._store.begin() as tx:
            if over:
                drawn_up.stop(tx, drawn.handle, State.STOPPED)
                ledger.record(tx, [entry_of(ask, Code.DENIED, lapsed.said, drawn)])
            else:
                drawn_up.wait_again(tx, drawn.handle)
            written = lapses.write(tx, drawn, verdict, ask, self._breaking.mouths)
        self._told(written)
        return Reply(said=lapsed.said, ok=False, shared=True, over=over)

    def _plan(self, step: Planned, differences: tuple[str, ...] = ()) -> Reply:
        """Look at the world, and show what would be done to it."""
        action, ask = step.action, step.ask
        if not action.reads:
            self._hear_opinion(ask, action.verb, action.target(step.args))
        undoes = step.undoes.id if step.undoes else ""
        plan = looked(partial(action.plan, step.args, replace(self._tools, by=ask.by, undoes=undoes)))
        if action.reads:
            return self._answer(step, plan)
        if step.undoes is not None:
            differ = plans.changed_since(dict(step.undoes.left), plan)
            if differ:
                said = f"Somebody has changed it since run {step.undoes.id[: plans.SHOWN]}: {'; '.join(differ)}."
                raise Rejected(f"{said} Nothing was done; look first.", code="changed_since", status=409)
        needs = plans.needed(action.risk, step.decision, plan)
        at_once = (action.risk is Risk.NONE and needs == 0) or not ask.by.human
        drawn = drawn_for(step, plan, needs, now=self._store.now())
        drawn = replace(drawn, state=State.APPROVED if at_once else State.SHOWN)
        with self._store.begin() as tx:
            asker = self._linking.voice(tx, ask)
            drawn = replace(drawn, account=asker.account, had=asker.had)
            written = showing.write(tx, drawn, ask, step.decision, self._breaking.mouths)
        self._told(written)
        if at_once:
            return self._runs.begin(drawn, ask.by, ask, step.decision, undoes=step.undoes)
        limits = tuple(f"{name} {said}" for name, said in action.limits.items())
        card = plans.card(drawn, ask.by.called, limits, differences)
        return Reply(said="\n".join((card.title, *card.lines)), card=card)

    def _answer(self, step: Planned, plan: Plan) -> Reply:
        """A question to the world: nothing is run, so nothing has to be approved or sealed first."""
        look = partial(step.action.run, step.args, plan, "", step.ask.by, replace(self._tools, by=step.ask.by))
        outcome = looked(look)
        self._record(step.ask, Code.ANSWERED, outcome.said.partition("\n")[0])
        return self._following.answer(step.ask, outcome, partial(self._look_again, step, plan.target, look))

    def _look_again(self, step: Planned, target: str, look: Look) -> Outcome:
        """For an answer that is told again as it goes on, minutes after it was asked for."""
        with self._store.begin() as tx:
            if not self._rights.may_still(tx, step.ask, step.action.verb, target):
                raise Rejected("Whoever asked may not ask it any more.", code="denied", status=403)
        return look()

    def _run(self, step: Approved, ask: Ask) -> Reply:
        """Plan it again, and run it if it is still the plan that was approved."""
        drawn = step.drawn
        action = self._verbs.action(drawn.verb)
        args = verbs.args_of(self._verbs, drawn)
        first = asked(drawn, step.asker)
        self._hear_opinion(first, action.verb, drawn.plan.target)
        plan = looked(partial(action.plan, args, replace(self._tools, by=first.by, undoes=drawn.undoes)))
        digest = plans.digest_of(plans.written(drawn.verb, drawn.words, plan))
        if digest == drawn.digest:
            return self._runs.begin(drawn, step.asker, ask, step.decision, step.outside)
        differences = plans.moved(drawn.plan, plan)
        self._record(ask, Code.MOVED, "; ".join(differences), drawn, now=State.MOVED)
        with self._store.begin() as tx:
            first = replace(first, by=self._rights.person(tx, drawn.by) or Principal(id=drawn.by))
            decision = self._rights.may_act(tx, first, action.verb, plan.target)
            undoes = ran.run_of(tx.sql, drawn.undoes) if drawn.undoes else None
        if not decision.allowed:
            raise Rejected(f"The world moved since plan {drawn.short}. {denied(decision)}", code="denied", status=403)
        again = Planned(action=action, args=args, ask=first, decision=decision, undoes=undoes)
        shown = self._plan(again, differences)
        said = f"The world moved since plan {drawn.short}: {'; '.join(differences)}. Nothing was done. The new plan:"
        return replace(shown, said=f"{said}\n{shown.said}", ok=False)

    def _undo(self, step: Undoing, ask: Ask) -> Reply:
        """The words that a run left are asked as if they had been typed; where the watch asks, the run allows it."""
        run = step.run
        verb, rest = words.split(run.undo)
        action = self._verbs.action(verb)
        asked = replace(ask, words=run.undo)
        args = grammar.read(action.args, rest, asked.incident_id, action.usage, known=self._rights.known(asked))
        with self._store.begin() as tx:
            decision = self._rights.may_undo(tx, asked, verb, action.target(args), step.why)
        if not decision.allowed:
            self._record(asked, Code.DENIED, decision.reason)
            return Reply(said=denied(decision), ok=False)
        return self._plan(Planned(action=action, args=args, ask=asked, decision=decision, undoes=run))

    def _hear_opinion(self, ask: Ask, verb: str, target: str) -> None:
        """Raises `Objected` when the second opinion is against it; not about the watch's undo of an approved plan."""
        if self._rights.opinion is None or not ask.by.human:
            return
        with self._store.begin() as tx:
            opinion = self._rights.objection(tx, ask, verb, target)
        objection = opinion()
        if objection:
            raise Objected(denied(Decision(allowed=False, reason=objection)), target)

    def _record(
        self,
        ask: Ask,
        code: Code,
        said: str,
        drawn: Drawn | None = None,
        *,
        target: str = "",
        now: State = State.STOPPED,
    ) -> None:
        """What became of it; a plan that was approved gets no run any more, and is `now` this."""
        with self._store.begin() as tx:
            if drawn is not None:
                drawn_up.stop(tx, drawn.handle, now)
            ledger.record(tx, [entry_of(ask, code, said, drawn, target=target)])
