"""The gate as the settings want it: who may say what, with which tools, and how its runs are sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib import import_module

import commands
from bot import alarms
from bot.accounts import Vouches
from bot.approval_facts import weigh
from bot.breaking import Breaking
from bot.following import Following
from bot.from_settings import book_of, gate_tokens, linking_of, people_of, rules_of, tools_of
from bot.gate import Gate
from bot.gatekeeping import Gatekeeper
from bot.intake import Taken
from bot.intents import Seal
from bot.linking import Linking
from bot.model import Ask, Delivered, Reply
from bot.owing import Mouth
from bot.ports import Channel, Speaks
from bot.reports import Reports
from bot.rights import Rights
from bot.runs import Parts, Runs
from bot.sentence import Known
from bot.settings import Settings
from bot.store import ran
from bot.store.engine import Store, Unavailable
from bot.store.ran import Run
from bot.store.tx import Tx
from bot.story import Told
from bot.tending import Tending
from bot.verbs import Verbs, args_of, names_said
from bot.vouching import Vouching

#: How a delivery of alerts is taken: `Intake.take`.
Take = Callable[[Delivered, Callable[[Taken | Exception], None]], None]

_STORED_WITHIN_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Gatehouse:
    """The gate, its runs, and what time does to them."""

    gate: Gate
    linking: Linking
    runs: Runs
    following: Following
    tending: Tending
    keeper: Gatekeeper

    def stop(self, within: timedelta) -> None:
        """Tell no answer again, and give the runs this long to end."""
        self.following.stop()
        self.runs.stop(within)


def gatehouse(
    settings: Settings,
    store: Store,
    *,
    channels: Mapping[str, Channel],
    mouths: Sequence[Mouth],
    told: Told,
    seal: Seal,
    take: Take,
    waits: bool = False,
) -> Gatehouse:
    """`take`: how the bot's own alert about a run reaches the intake; `waits`: slow runs are waited for."""
    verbs = Verbs(commands=commands.find(), actions=commands.actions())
    linking = linking_of(settings, channels)
    names = partial(names_said, people_of(settings), _services(settings), verbs)
    rights = _rights(settings, linking, names, channels)
    breaking = Breaking(rights=rights, mouths=mouths, rules=rules_of(settings), contact=settings.security.contact or "")
    keeper = Gatekeeper(store, partial(stands, rights, verbs))
    tools = replace(tools_of(settings, store.now), gates=keeper if gate_tokens(settings) else None)
    alarm = partial(_raise, store, take)
    reports = Reports(store, {name: one for name, one in channels.items() if isinstance(one, Speaks)})
    parts = Parts(
        store=store,
        verbs=verbs,
        args_of=partial(args_of, verbs),
        tools=tools,
        mouths=mouths,
        told=told,
        seal=seal,
        alarm=alarm,
        reports=reports,
        rights=rights,
        waits=waits,
    )
    runs = Runs(parts)
    following = Following({} if waits else reports.speaks)
    gate = _gate(parts, breaking, channels, runs, following)
    tending = _tending(parts, breaking, runs, gate.reverse)
    return Gatehouse(gate=gate, linking=linking, runs=runs, following=following, tending=tending, keeper=keeper)


def stands(rights: Rights, verbs: Verbs, tx: Tx, run_id: str) -> bool:
    """Whether it goes on, and those who asked for what it does, and approved it, still may."""
    run = ran.run_of(tx.sql, run_id)
    if run.state != ran.INTENDED:  # It was judged while its process was frozen, which opened the gate after that.
        return False
    drawn = ran.plan_of_run(tx.sql, run)
    return drawn.by_watch or weigh(rights, tx, drawn, verbs.action(drawn.verb).risk).runs


def _gate(parts: Parts, breaking: Breaking, channels: Mapping[str, Channel], runs: Runs, following: Following) -> Gate:
    vouches = {name: one for name, one in channels.items() if isinstance(one, Vouches)}
    return Gate(
        parts.store,
        verbs=parts.verbs,
        breaking=breaking,
        vouching=Vouching(store=parts.store, vouches=vouches),
        tools=parts.tools,
        runs=runs,
        following=following,
        told=parts.told,
    )


def _tending(parts: Parts, breaking: Breaking, runs: Runs, reverse: Callable[[Run, str], Reply]) -> Tending:
    return Tending(
        store=parts.store,
        reverse=reverse,
        runs=runs,
        reports=parts.reports,
        gauge=parts.tools.gauge,
        alarm=parts.alarm,
        breaking=breaking,
        told=parts.told,
    )


def _services(settings: Settings) -> tuple[str, ...]:
    return tuple(one.name for one in settings.services)


def _rights(
    settings: Settings, linking: Linking, names: Callable[[Ask], Known], channels: Mapping[str, Channel]
) -> Rights:
    return Rights(
        book=book_of(settings),
        linking=linking,
        environments={one.name: one.environment for one in settings.services},
        names=names,
        pagers=frozenset(name for name, channel in channels.items() if channel.pages),
        opinion=None if settings.opa is None else import_module("bot.tools.opa").Opa(settings.opa),
    )


def _raise(store: Store, take: Take, name: str, run: str, said: str) -> None:
    """Page somebody about a run. Raises `Unavailable` when nobody knows whether that is stored."""
    stored: Future[Taken | Exception] = Future()
    take(alarms.about_run(name, run, said, store.now()), stored.set_result)
    try:
        taken = stored.result(_STORED_WITHIN_S)
    except TimeoutError:
        raise Unavailable(f"{name} was not stored within {_STORED_WITHIN_S:.0f} s") from None
    if isinstance(taken, Exception):
        raise Unavailable(str(taken)) from taken
