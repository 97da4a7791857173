"""PATH 2, the door for people: words -> who -> may they -> plan -> yes -> intent -> run -> outcome.

Whatever its mouth (slash command, button, chat line, command line, undo, timed revert), an ask comes in here, and every
step of it is on record in the commit that takes the step. What only changes incidents is done in that one commit. What
changes the outside world is planned outside any transaction, approved, and run by `runs`.

A platform delivers an act more than once; its id (`Ask.once`) and what was answered are stored with the effect, so the
second delivery finds the first one's answer and has no effect of its own.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot import grammar, incidents, plans, story, verbs, words
from bot.acting import Tools
from bot.acts import Code, Decision, Plan, Risk
from bot.breaking import Breaking
from bot.desk import Counter, denied
from bot.failpoints import failpoint
from bot.forms import Filled, Form
from bot.linking import Linking
from bot.model import Ask, Principal, Reply, What
from bot.plans import Drawn, State
from bot.ports import Rejected, Sayable
from bot.runs import NO_AUDIT, Runs
from bot.steps import Approved, Next, Objected, Planned, Undoing, asked, entry_of, lasting, looked
from bot.store import drawn as drawn_up
from bot.store import ledger, ran
from bot.store.engine import Store, Unavailable
from bot.store.ran import Run
from bot.store.tx import Tx
from bot.story import Told, Written
from bot.verbs import Parts, Verbs
from bot.wishes import Acted

logger = logging.getLogger(__name__)

#: Who asks where time does: a revert, an undo after a check that failed.
WATCH = Principal(id="watch", name="The watch", human=False)
#: What a second delivery of an act is told while the first is still being looked at.
_UNDER_WAY = "That was taken up when it first came. `approvals` shows what waits for a yes, `runs` what was done."


class Gate:
    """Implements `ports.Door`. `told` is called after each commit that changed something."""

    def __init__(
        self, store: Store, *, verbs: Verbs, breaking: Breaking, linking: Linking, tools: Tools, runs: Runs, told: Told
    ) -> None:
        self._store = store
        self._verbs = verbs
        self._rights = breaking.rights
        self._breaking = breaking
        self._linking = linking
        self._parts = Parts(verbs=verbs, linking=linking, breaking=breaking)
        self._tools = tools
        self._runs = runs
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
        with self._store.begin() as tx:
            counter = Counter(tx, ask, self._parts)
            before = tx.answered(ask.place, ask.once) if ask.once else None
            if before is not None:
                counter.record(Code.REPLAYED, "delivered again; it had no second effect")
                return Reply(said=before[0], ok=before[1], repeated=True)
            reply = self._with_words(tx, ask, counter.serve())
            if ask.once:
                tx.answer(ask.place, ask.once, _UNDER_WAY if counter.after else reply.stored, ok=reply.ok)
            failpoint("desk.written")
        failpoint("desk.committed")
        if counter.written:
            self._told(counter.written)
        if counter.after is None:
            return reply
        reply = self._go_on(counter.after, ask)
        if isinstance(counter.after, Approved):
            reply = replace(reply, shared=True, over=True)
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
                tx.answer(ask.place, ask.once, "", ok=True)
            ledger.record(tx, [entry_of(ask, Code.DENIED if ask.words else Code.REJECTED, why, None)])
            return False

    def menu(self) -> tuple[Sayable, ...]:
        return tuple(self._verbs.all.values())

    def _with_words(self, tx: Tx, ask: Ask, reply: Reply) -> Reply:
        """The answer, below what this account has still to be told."""
        told = self._linking.words_for(tx, ask)
        return replace(reply, said="\n".join([*told, reply.said])) if told else reply

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
            return Reply(said=NO_AUDIT.format(why=trouble), ok=False)

    def _step(self, step: Next, ask: Ask) -> Reply:
        try:
            match step:
                case Planned():
                    return self._plan(step)
                case Approved():
                    return self._run(step, ask)
                case Undoing():
                    return self._undo(step, ask)
        except Rejected as refused:
            drawn = step.drawn if isinstance(step, Approved) else None
            code = Code.DENIED if isinstance(refused, Objected) else Code.REJECTED
            target = refused.target if isinstance(refused, Objected) else ""
            self._record(ask, code, refused.said, drawn, target=target)
            return Reply(said=refused.said, ok=False)

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
        said = lasting(step)
        drawn = self._drawn(replace(ask, words=said), action.verb, plan, needs, step.undoes)
        drawn = replace(drawn, state=State.APPROVED if at_once else State.SHOWN)
        self._show(drawn, ask, step.decision, tell=not at_once)
        if at_once:
            return self._runs.begin(drawn, ask.by, ask, step.decision)
        limits = tuple(f"{name} {said}" for name, said in action.limits.items())
        card = plans.card(drawn, ask.by.called, limits, differences)
        return Reply(said="\n".join((card.title, *card.lines)), card=card)

    def _answer(self, step: Planned, plan: Plan) -> Reply:
        """A question to the world: nothing is run, so nothing has to be approved or sealed first."""
        look = partial(step.action.run, step.args, plan, "", step.ask.by, replace(self._tools, by=step.ask.by))
        outcome = looked(look)
        self._record(step.ask, Code.ANSWERED, outcome.said.partition("\n")[0])
        return self._runs.answer(step.ask, outcome, look)

    def _drawn(self, ask: Ask, verb: str, plan: Plan, needs: int, undoes: Run | None) -> Drawn:
        return Drawn(
            handle=secrets.token_hex(16),
            verb=verb,
            words=ask.words,
            by=ask.by.id,
            place=ask.place,
            incident_id=ask.incident_id,
            at=self._store.now(),
            needs=needs,
            state=State.SHOWN,
            plan=plan,
            digest=plans.digest_of(plans.written(verb, ask.words, plan)),
            undoes=undoes.id if undoes else "",
            spot=ask.spot,
        )

    def _show(self, drawn: Drawn, ask: Ask, decision: Decision, *, tell: bool) -> None:
        with self._store.begin() as tx:
            drawn_up.put_plan(tx, drawn, plans.written(drawn.verb, drawn.words, drawn.plan))
            ledger.record(tx, [entry_of(ask, Code.PLANNED, "; ".join(drawn.plan.effect), drawn, decision=decision)])
            incident = tx.incident(drawn.incident_id) if drawn.incident_id else None
            written = Written()
            if incident is not None and tell:
                who = f"{ask.by.called}, behind broken glass," if decision.glass else ask.by.called
                said = f"{who} asks: {drawn.words}. {'; '.join(drawn.plan.effect)}. `{plans.yes_to(drawn)}`"
                wish = Acted(what=What.ASKED, by=ask.by.id, said=said, via=ask.place)
                written = story.write(tx, [incidents.change(incident, wish, now=tx.now)], self._breaking.mouths)
            failpoint("gate.showing")
        self._told(written)

    def _run(self, step: Approved, ask: Ask) -> Reply:
        """Plan it again, and run it if it is still the plan that was approved."""
        drawn = step.drawn
        action = self._verbs.action(drawn.verb)
        args = self._runs.args_of(drawn)
        first = asked(drawn, step.asker)
        self._hear_opinion(first, action.verb, drawn.plan.target)
        plan = looked(partial(action.plan, args, replace(self._tools, by=first.by, undoes=drawn.undoes)))
        digest = plans.digest_of(plans.written(drawn.verb, drawn.words, plan))
        if digest == drawn.digest:
            return self._runs.begin(drawn, step.asker, ask, step.decision)
        differences = plans.moved(drawn.plan, plan)
        self._record(ask, Code.MOVED, "; ".join(differences), drawn, now=State.MOVED)
        with self._store.begin() as tx:
            decision = self._rights.may_act(tx, first, action.verb, plan.target)
        again = Planned(action=action, args=args, ask=first, decision=decision)
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
