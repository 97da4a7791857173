"""The gate as the settings want it: who may say what, with which tools, and how its runs are sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib import import_module

import commands
from bot.access.account_linking import AccountLinking
from bot.access.authorizer import Authorizer
from bot.access.break_glass import BreakGlass
from bot.actions.approval_facts import review_approvals
from bot.actions.intent import Seal
from bot.actions.progress import RunReports
from bot.actions.runner import Runner, RunnerParts
from bot.actions.upkeep import Upkeep
from bot.alerts import internal
from bot.alerts.intake import IntakeResult
from bot.app.build import build_people, build_policy, build_rules, build_tools, flagger_tokens, linking_of
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.dispatcher import Dispatcher
from bot.chatops.live_answers import LiveAnswers
from bot.chatops.registry import args_of, known_names
from bot.config.settings import Settings
from bot.core.alert import AlertBatch
from bot.core.channel import AccountVerifier, Channel, Messenger
from bot.core.command import KnownNames
from bot.core.incident import OnCommit
from bot.core.message import Subscription
from bot.core.registry import Registry
from bot.core.request import Reply, Request
from bot.store import runs as ran
from bot.store.engine import Store, Unavailable
from bot.store.flagger_gates import FlaggerGates
from bot.store.runs import Run
from bot.store.transaction import Tx

#: How a delivery of alerts is taken: `Intake.take`.
Take = Callable[[AlertBatch, Callable[[IntakeResult | Exception], None]], None]

_STORED_WITHIN_S = 15.0


@dataclass(frozen=True, kw_only=True)
class ChatOps:
    """The gate, its runs, and what time does to them."""

    dispatcher: Dispatcher
    account_linking: AccountLinking
    runner: Runner
    following: LiveAnswers
    upkeep: Upkeep
    flagger_gates: FlaggerGates

    def stop(self, within: timedelta) -> None:
        """Tell no answer again, and give the runs this long to end."""
        self.following.stop()
        self.runner.stop(within)


def build_chatops(
    settings: Settings,
    store: Store,
    *,
    channels: Mapping[str, Channel],
    subscriptions: Sequence[Subscription],
    on_commit: OnCommit,
    seal: Seal,
    take: Take,
    wait_for_results: bool = False,
) -> ChatOps:
    """`take`: how the bot's own alert about a run reaches the intake; `wait_for_results`: slow runs are waited for."""
    verbs = Registry(commands=commands.find(), actions=commands.actions())
    linking = linking_of(settings, channels)
    names = partial(known_names, build_people(settings), _services(settings), verbs)
    rights = _rights(settings, linking, names, channels)
    breaking = _break_glass(settings, rights, subscriptions)
    keeper = FlaggerGates(store, partial(is_still_allowed, rights, verbs))
    tools = replace(build_tools(settings, store.now), gates=keeper if flagger_tokens(settings) else None)
    alarm = partial(_raise, store, take)
    reports = RunReports(store, {name: one for name, one in channels.items() if isinstance(one, Messenger)})
    parts = RunnerParts(
        store=store,
        registry=verbs,
        args_of=partial(args_of, verbs),
        tools=tools,
        subscriptions=subscriptions,
        on_commit=on_commit,
        seal=seal,
        raise_alert=alarm,
        reports=reports,
        authorizer=rights,
        wait_for_result=wait_for_results,
    )
    following = LiveAnswers({} if wait_for_results else reports.messengers)
    gate = _gate(parts, breaking, channels, runs := Runner(parts), following)
    tending = _tending(parts, breaking, runs, gate.undo_automatically)
    return ChatOps(
        dispatcher=gate, account_linking=linking, runner=runs, following=following, upkeep=tending, flagger_gates=keeper
    )


def _break_glass(settings: Settings, authorizer: Authorizer, subscriptions: Sequence[Subscription]) -> BreakGlass:
    return BreakGlass(
        authorizer=authorizer,
        subscriptions=subscriptions,
        rules=build_rules(settings),
        contact=settings.security.contact or "",
    )


def is_still_allowed(authorizer: Authorizer, registry: Registry, tx: Tx, run_id: str) -> bool:
    """Whether it goes on, and those who asked for what it does, and approved it, still may."""
    run = ran.get_run(tx.sql, run_id)
    if run.state != ran.INTENDED:  # It was judged while its process was frozen, which opened the gate after that.
        return False
    proposal = ran.plan_of_run(tx.sql, run)
    return proposal.by_scheduler or review_approvals(authorizer, tx, proposal, registry.action(proposal.verb).risk).runs


def _gate(
    parts: RunnerParts, break_glass: BreakGlass, channels: Mapping[str, Channel], runner: Runner, following: LiveAnswers
) -> Dispatcher:
    vouches = {name: one for name, one in channels.items() if isinstance(one, AccountVerifier)}
    return Dispatcher(
        parts.store,
        registry=parts.registry,
        break_glass=break_glass,
        account_verification=AccountVerification(store=parts.store, verifiers=vouches),
        tools=parts.tools,
        runner=runner,
        live_answers=following,
        on_commit=parts.on_commit,
    )


def _tending(
    parts: RunnerParts, break_glass: BreakGlass, runner: Runner, reverse: Callable[[Run, str], Reply]
) -> Upkeep:
    return Upkeep(
        store=parts.store,
        undo=reverse,
        runner=runner,
        reports=parts.reports,
        metrics=parts.tools.metrics,
        raise_alert=parts.raise_alert,
        break_glass=break_glass,
        on_commit=parts.on_commit,
    )


def _services(settings: Settings) -> tuple[str, ...]:
    return tuple(one.name for one in settings.services)


def _rights(
    settings: Settings, linking: AccountLinking, names: Callable[[Request], KnownNames], channels: Mapping[str, Channel]
) -> Authorizer:
    return Authorizer(
        policy=build_policy(settings),
        linking=linking,
        environments={one.name: one.environment for one in settings.services},
        name_lookup=names,
        pagers=frozenset(name for name, channel in channels.items() if channel.pages),
        external_policy=None
        if settings.opa is None
        else import_module("bot.integrations.opa.client").Opa(settings.opa),
    )


def _raise(store: Store, take: Take, name: str, run: str, message: str) -> None:
    """Page somebody about a run. Raises `Unavailable` when nobody knows whether that is stored."""
    stored: Future[IntakeResult | Exception] = Future()
    take(internal.about_run(name, run, message, store.now()), stored.set_result)
    try:
        taken = stored.result(_STORED_WITHIN_S)
    except TimeoutError:
        raise Unavailable(f"{name} was not stored within {_STORED_WITHIN_S:.0f} s") from None
    if isinstance(taken, Exception):
        raise Unavailable(str(taken)) from taken
