"""One ask at the counter: who, may they, and what a command does to incidents, inside one transaction, on record.

What changes only the house's own rows is done here, with its intent and its outcome in the same commit. An action is
not: the counter only decides whether it may be planned, or that its plan has been approved, and the gate goes on from
there after the commit.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bot import approval_facts, glass, grammar, lapses, meant, mine, plans, words, yeses
from bot.acting import Action
from bot.acts import AuditEntry, Code, Decision, Ended, Permission
from bot.book import INCIDENT
from bot.casework import Casework
from bot.circumstances import Weight
from bot.linking import Registry
from bot.model import Ask, Incident, Principal, Reply, What
from bot.people import LINK_FIRST, OPEN_TO_NOBODY, Account, on_record
from bot.plans import Drawn
from bot.ports import Command, Mine, Rejected
from bot.states import Standing, State
from bot.steps import Approved, Next, Planned, Undoing
from bot.store import drawn as drawn_up
from bot.store import ledger, ran, standing
from bot.store.ran import Run
from bot.store.tx import Tx
from bot.story import Written
from bot.verbs import Parts
from bot.wishes import Acted

_DENIED = "denied"
#: After these no other press of the same button can count.
_OVER = plans.OVER | {meant.ANOTHER}
#: What whoever did something may say of their own run.
_OF_OWN_RUNS = ("undo", "keep")


class Counter(Registry, Casework):
    """Implements `ports.Desk` for one ask, inside its transaction. `after`: what the gate does once it is committed."""

    def __init__(self, tx: Tx, ask: Ask, house: Parts, outside: Mapping[Account, str]) -> None:
        """`outside`: what platforms have just said against accounts."""
        Registry.__init__(self, tx, house.breaking.rights.linking)
        Casework.__init__(self, tx, house.breaking.mouths)
        self._ask = ask
        self._verbs = house.verbs
        self._breaking = house.breaking
        self._rights = house.breaking.rights
        self._outside = outside
        self._said = words.split(ask.words)
        self._about: Incident | None = None
        self.after: Next | None = None

    def serve(self) -> Reply:
        """Answer it; whatever became of it is on record in this transaction."""
        verb, rest = self._said
        if not self._ask.by.id and verb not in OPEN_TO_NOBODY:
            self.record(Code.DENIED, LINK_FIRST)
            return Reply(said=LINK_FIRST, ok=False)
        try:
            if verb in self._verbs.actions:
                return self._act(self._verbs.actions[verb], rest)
            if verb not in self._verbs.commands:
                raise words.unknown(verb, self._verbs.all)
            return self._command(self._verbs.commands[verb], rest)
        except Rejected as refused:
            stops = refused.code == plans.STOPS
            self.record(Code.DENIED if stops or refused.code == _DENIED else Code.REJECTED, refused.said)
            return Reply(said=refused.said, ok=False, over=refused.code in _OVER, shared=stops)

    def _command(self, command: Command[Any], rest: str) -> Reply:
        args = self._read(command, rest)
        wanted = self._wanted(command.verb, args)
        weight = Weight.QUESTION if command.reads else Weight.CALM
        decision = self._rights.may(self._tx, self._ask, wanted, self._about, weight)
        if not decision.allowed:
            return self._denied(decision, wanted.target)
        reply = command.run(self._ask, args, self)
        if command.reads or not reply.ok:
            code = Code.ANSWERED if reply.ok else Code.REJECTED
            self.record(code, reply.stored.partition("\n")[0], decision, target=wanted.target)
        elif self.after is None:
            run = secrets.token_hex(16)
            self.record(Code.INTENT, on_record(self._ask.words), decision, run=run, target=wanted.target)
            self.record(Code.DONE, reply.stored, decision, run=run, target=wanted.target)
            if decision.glass:
                self.written |= self._breaking.tell(self._tx, self._ask, self._about.id if self._about else None)
        return reply

    def _act(self, action: Action[Any], rest: str) -> Reply:
        args = self._read(action, rest)
        target = action.target(args)
        weight = Weight.QUESTION if action.reads else Weight.ACTION
        decision = self._rights.may_act(self._tx, self._ask, action.verb, target, weight)
        if not decision.allowed:
            return self._denied(decision, target)
        self.after = Planned(action=action, args=args, ask=self._ask, decision=decision)
        return Reply(said="Looking.")

    def _read(self, said: Command[Any] | Action[Any], rest: str) -> object:
        known = self._breaking.known(self._tx, said.verb, self._rights.known(self._ask))
        args = grammar.read(said.args, rest, self._ask.incident_id, said.usage, known=known)
        return meant.checked(args, self._ask, self._tx.incident)

    def _denied(self, decision: Decision, target: str = "") -> Reply:
        self.record(Code.DENIED, decision.reason, decision, target=target)
        return Reply(said=denied(decision), ok=False)

    def record(
        self, code: Code, said: str, decision: Decision | None = None, *, run: str = "", target: str = ""
    ) -> str:
        """One entry about this ask; returns its uid."""
        ask = self._ask
        rule = glass.grounds(decision.rule, glass=decision.glass) if decision else ""
        more = {"words": on_record(ask.words)} | ({"rule": rule} if rule else {})
        entry = AuditEntry(
            code=code,
            by=ask.by.id or f"{ask.place}:{ask.account}",
            said=said,
            run=run,
            verb=self._said[0],
            target=target,
            place=ask.place,
            account=ask.account,
            once=ask.once,
            incident_id=self._about.id if self._about else ask.incident_id,
            more=more,
        )
        (uid,) = ledger.record(self._tx, [entry])
        return uid

    def _wanted(self, verb: str, args: object) -> Permission:
        """What the rights are asked for: the service of the incident that is meant, or of the plan or run."""
        number = getattr(args, "incident", None)
        if isinstance(number, int):
            if self._rights.ever(self._ask.by, verb):  # to others it is not said which numbers there are
                self.incident(number)
            self._about = self._tx.incident(number)
            return Permission(verb=verb, target=f"{INCIDENT}{number}")
        if verb in ("yes", "no"):
            drawn = self._plan(str(getattr(args, "handle", "")))
            own = drawn.by == self._ask.by.id  # whether their yes counts is the plan's to say
            return Permission(verb=drawn.verb if own else verb, target=drawn.plan.target)
        if verb in (*_OF_OWN_RUNS, "settle"):
            run = self._run(str(getattr(args, "run", "")))
            own = verb != "settle" and run.by == self._ask.by.id  # who may do it may let it stay, and plan its undo
            return Permission(verb=ran.plan_of_run(self._tx.sql, run).verb if own else verb, target=run.target)
        return Permission(verb=verb, target=str(getattr(args, "service", "")))

    # What commands may do.

    def whoami(self, ask: Ask) -> Sequence[str]:
        return [*super().whoami(ask), *self._duties(ask.by), *self._breaking.of(self._tx, ask.by)]

    def _duties(self, who: Principal) -> list[str]:
        """What the person is on call for, and what ends with an incident that is open now."""
        services = sorted(self._rights.book.on_call_for(who.id))
        troubled = [one for one in services if self._tx.troubled(one)]
        lines = [f"On call for {', '.join(services)}: by the settings."] if services else []
        if troubled:
            lines.append(f"An incident is open on {', '.join(troubled)}: what rests on it ends when it is resolved.")
        return lines

    def commands(self) -> Sequence[Command[Any] | Action[Any]]:
        """What this person may say at all, somewhere."""
        who = self._ask.by
        does = any(not one.reads and self._rights.ever(who, verb) for verb, one in self._verbs.actions.items())
        own = _OF_OWN_RUNS if does else ()
        return [one for verb, one in self._verbs.all.items() if verb in own or self._rights.ever(who, verb)]

    def mine(self, limit: int) -> Mine:
        return mine.look(self._tx, self._rights, self._ask, self._verbs.risks, limit)

    def waiting(self) -> Sequence[Drawn]:
        return drawn_up.waiting(self._tx.sql, self._tx.now, 20)

    def runs(self) -> Sequence[Standing]:
        return standing.last(self._tx.sql, 10)

    def approve(self, handle: str, named: str = "") -> Reply:
        """Count this person's yes; the last one that is needed lets it run."""
        drawn, ask, tx = self._plan(handle), self._ask, self._tx
        voice = self._linking.voice(tx, ask)
        verdict = approval_facts.weigh(self._rights, tx, drawn, self._verbs.action(drawn.verb).risk, self._outside)
        now = approval_facts.said_yes(self._rights, tx, drawn, voice, self._outside)
        yeses.check_yes(drawn, voice, now, verdict, human=ask.by.human)
        plans.check_named(drawn, named)
        again = yeses.told(drawn, verdict)
        self.written |= lapses.write(tx, drawn, verdict, ask, self._breaking.mouths)
        if verdict.stopped is not None:
            drawn_up.mark(tx, drawn.handle, plans.State.STOPPED)
            raise Rejected(again, code=plans.STOPS, status=403)
        drawn_up.approve(tx, drawn.handle, voice)
        self.record(Code.APPROVED, f"{ask.by.called} says yes to {drawn.words}", run=drawn.handle)
        missing = verdict.missing - 1
        if missing:
            said = f"Approved; {missing} more must say `{plans.yes_to(drawn)}`. {again}".rstrip()
            return Reply(said=said, shared=True)
        if not drawn_up.mark(tx, drawn.handle, plans.State.APPROVED):
            raise Rejected(f"Plan {drawn.short} was taken up a moment ago. Nothing more was done.", code="plan_used")
        asker = self._rights.person(tx, drawn.by) or Principal(id=drawn.by)
        self.after = Approved(drawn=drawn, asker=asker, decision=verdict.decision, outside=self._outside)
        return Reply(said="Running.")

    def drop(self, handle: str) -> Reply:
        drawn = self._plan(handle)
        plans.check_open(drawn, self._tx.now)
        drawn_up.mark(self._tx, drawn.handle, plans.State.DROPPED)
        self.record(Code.NOT_APPROVED, f"{self._ask.by.called} says no to {drawn.words}", run=drawn.handle)
        said = f"Plan {drawn.short} is dropped: {drawn.words}. Nothing was done."
        return Reply(said=said, shared=True, over=True)

    def undo(self, run_id: str) -> Reply:
        run = self._run(run_id)
        now = standing.of_run(self._tx.sql, run)
        if not now.can_undo:
            why = "it knows no way back" if now.state in (State.DONE, State.UNWELL) else _how(now)
            raise Rejected(f"Run {now.short} cannot be undone: {why}. Nothing was done.", code="no_undo")
        self.after = Undoing(run=run)
        return Reply(said="Looking.")

    def keep(self, run_id: str) -> Reply:
        run = self._run(run_id)
        now = standing.of_run(self._tx.sql, run)
        if now.state in (State.UNDONE, State.UNDOING):
            said = f"Run {now.short} cannot be kept: {_how(now)}. Nothing was done."
            raise Rejected(said, code="nothing_to_keep", status=409)
        if not ran.keep(self._tx, run):
            said = f"Run {run.id[: plans.SHOWN]} does not end by itself. Nothing was done."
            raise Rejected(said, code="nothing_to_keep", status=409)
        return Reply(said=f"Run {run.id[: plans.SHOWN]} stays as it is; `undo {run.id[: plans.SHOWN]}` undoes it.")

    def settle(self, run_id: str, ended: str, because: str) -> Reply:
        run = self._run(run_id)
        if not ran.settle(self._tx, run, Ended(ended), f"{self._ask.by.called}: {because}"):
            now = standing.of_run(self._tx.sql, run)
            said = f"Run {now.short} is {now.state}, not unknown. Nothing was done."
            raise Rejected(said, code="settled", status=409)
        drawn = ran.plan_of_run(self._tx.sql, run)
        incident = self._tx.incident(drawn.incident_id) if drawn.incident_id else None
        if incident is not None:
            what = What.ACTED if ended == Ended.DONE else What.NOT_ACTED
            said = f"{self._ask.by.called}: {drawn.words}: {ended}. {because}"
            self._change(incident, Acted(what=what, by=self._ask.by.id, said=said, via=self._ask.place))
        return Reply(said=f"Run {run.id[: plans.SHOWN]} is {ended}; {run.target} is free again.")

    def break_glass(self, because: str) -> Reply:
        return self._told(*self._breaking.break_glass(self._tx, self._ask, because))

    def review_glass(self, person: str, because: str) -> Reply:
        return self._told(*self._breaking.review(self._tx, self._ask, person, because))

    def glasses(self) -> Sequence[str]:
        return self._breaking.listed(self._tx)

    def _told(self, reply: Reply, written: Written) -> Reply:
        self.written |= written
        return reply

    def _plan(self, handle: str) -> Drawn:
        found = drawn_up.plans_like(self._tx.sql, handle)
        return _only(found, f"plan {handle}", "`approvals` lists those that wait.")

    def _run(self, run_id: str) -> Run:
        return _only(ran.runs_like(self._tx.sql, run_id), f"run {run_id}", "`runs` lists the last ones.")


def denied(decision: Decision) -> str:
    """What the asker hears."""
    done = "" if "Nothing was done" in decision.reason else " Nothing was done."
    return f"Denied: {decision.reason}{done}"


Found = TypeVar("Found")


def _only(found: Sequence[Found], what: str, hint: str) -> Found:
    if not found:
        raise Rejected(f"There is no {what}. Nothing was done. {hint}", code="not_found", status=404)
    if len(found) > 1:
        raise Rejected(f"More than one begins so: {what}. Nothing was done. Say more of it.", code="ambiguous")
    return found[0]


def _how(now: Standing) -> str:
    by = f" by {now.undone_for}, run {now.undone_by[: plans.SHOWN]}" if now.undone_by else ""
    return f"it is {now.state}{by}"
