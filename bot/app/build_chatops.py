"""Builds the command side of the bot: dispatcher, authorizer, runner, upkeep and the gates of Flagger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module

import commands
from bot.access.account_linking import AccountLinking
from bot.access.authorizer import Authorizer
from bot.access.break_glass import BreakGlass
from bot.actions.approval_facts import describe_approvers, review_approvals
from bot.actions.intent import Seal
from bot.actions.progress import RunReports
from bot.actions.runner import Runner, RunnerParts
from bot.actions.upkeep import Upkeep
from bot.alerts import internal
from bot.alerts.intake import IntakeResult
from bot.app.build import (
    build_account_linking,
    build_alert_rules,
    build_card_settings,
    build_people,
    build_policy,
    flagger_tokens,
)
from bot.app.build_rotas import build_duties
from bot.app.build_tools import build_tools
from bot.app.kept_overrides import KeptOverrides
from bot.backups.drill_schedule import scheduled_rule
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.dispatcher import Dispatcher
from bot.chatops.live_answers import LiveAnswers
from bot.chatops.registry import args_of, known_names
from bot.config.settings import Settings
from bot.core.action import Tools
from bot.core.alert import AlertBatch
from bot.core.backup import Backups
from bot.core.channel import AccountVerifier, ChannelFacts, Messenger
from bot.core.command import KnownNames
from bot.core.incident import OnCommit
from bot.core.manual import Facility
from bot.core.message import Subscription
from bot.core.plan import Proposal
from bot.core.registry import Registry
from bot.core.request import Reply, Request
from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties
from bot.store import runs
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store, Unavailable
from bot.store.flagger_gates import FlaggerGates
from bot.store.runs import Run
from bot.store.sql import Sql
from bot.store.transaction import Tx

#: The type of `Intake.take`: stores a batch of alerts and reports the result.
Take = Callable[[AlertBatch, Callable[[IntakeResult | Exception], None]], None]

_STORED_WITHIN_S = 15.0


@dataclass(frozen=True, kw_only=True)
class ChatOps:
    """The parts of the command side that others start, call or stop."""

    dispatcher: Dispatcher
    account_linking: AccountLinking
    runner: Runner
    live_answers: LiveAnswers
    upkeep: Upkeep
    flagger_gates: FlaggerGates
    backups: Backups | None  #: None where the settings have no store of backups
    duties: Duties
    overrides: KeptOverrides
    messengers: Mapping[str, Messenger]
    who_approves: Callable[[Sql, datetime, Proposal, int], str]  #: as `approval_facts.describe_approvers`

    def stop(self, within: timedelta) -> None:
        """Update no more live answers, and give the runs this long to end."""
        self.live_answers.stop()
        self.runner.stop(within)


def build_chatops(
    settings: Settings,
    store: Store,
    *,
    channels: Mapping[str, ChannelFacts],
    subscriptions: Sequence[Subscription],
    on_commit: OnCommit,
    seal: Seal,
    take: Take,
    tools: Tools | None = None,
    wait_for_results: bool = False,
) -> ChatOps:
    """Builds the command side.

    `take`: `Intake.take`, for the bot's own alerts about runs. `tools`: by default all clients, built now.
    `wait_for_results`: replies wait for slow runs to end.
    """
    tools = tools or build_tools(settings, store.now, records=StoredBackupRecords(store))
    registry = _build_registry(settings, channels, tools)
    linking = build_account_linking(settings, channels)
    overrides = KeptOverrides(store)
    duties = build_duties(settings, store.now, overrides)
    authorizer = _build_authorizer(settings, linking, channels, backups=tools.backups, duties=duties)
    break_glass = _build_break_glass(settings, authorizer, subscriptions)
    gates = FlaggerGates(store, partial(is_still_allowed, authorizer, registry))
    parts = RunnerParts(
        store=store,
        registry=registry,
        args_of=partial(args_of, registry),
        tools=replace(tools, gates=gates if flagger_tokens(settings) else None),
        subscriptions=subscriptions,
        on_commit=on_commit,
        seal=seal,
        raise_alert=partial(_raise_alert, store, take),
        reports=RunReports(store, {name: one for name, one in channels.items() if isinstance(one, Messenger)}),
        authorizer=authorizer,
        wait_for_result=wait_for_results,
    )
    cards = build_card_settings(settings, partial(linking.account_of, store), duties)
    return _joined(parts, break_glass, linking, gates, channels, cards=cards, overrides=overrides, duties=duties)


def _build_registry(settings: Settings, channels: Mapping[str, ChannelFacts], tools: Tools) -> Registry:
    facilities = facilities_of(settings, channels, silences=tools.silences is not None)
    return Registry(commands=commands.find(), actions=commands.actions(), facilities=facilities)


def facilities_of(settings: Settings, channels: Mapping[str, ChannelFacts], *, silences: bool) -> frozenset[Facility]:
    """What this installation has of the things that verbs need. `silences`: Alertmanager's API can be called."""
    placed = [one for one in settings.services if one.workload and one.cluster in settings.clusters]
    gated = flagger_tokens(settings)
    provided = {
        Facility.CLUSTER: bool(settings.clusters),
        Facility.WORKLOAD: bool(placed),
        Facility.ROLLOUT: any((one.workload or "").startswith("rollout/") for one in placed),
        Facility.FLAGGER: any(one.cluster in gated for one in placed),
        Facility.BACKUPS: bool(settings.backups.stores),
        Facility.ON_CALL: bool(settings.rotas) or any(one.on_call for one in settings.services),
        Facility.ROTA: bool(settings.rotas),
        Facility.SILENCES: silences,
        Facility.ACCOUNTS: any(one.accounts for one in channels.values()),
        Facility.BREAK_GLASS: any(one.break_glass for one in settings.roles.values()),
    }
    return frozenset(one for one, present in provided.items() if present)


def _joined(
    parts: RunnerParts,
    break_glass: BreakGlass,
    linking: AccountLinking,
    gates: FlaggerGates,
    channels: Mapping[str, ChannelFacts],
    *,
    cards: CardSettings,
    duties: Duties,
    overrides: KeptOverrides,
) -> ChatOps:
    runner = Runner(parts)
    live_answers = LiveAnswers({} if parts.wait_for_result else parts.reports.messengers)
    dispatcher = _build_dispatcher(parts, break_glass, channels, runner, live_answers, cards=cards, duties=duties)
    return ChatOps(
        dispatcher=dispatcher,
        account_linking=linking,
        runner=runner,
        live_answers=live_answers,
        upkeep=_build_upkeep(parts, break_glass, runner, dispatcher.undo_automatically),
        flagger_gates=gates,
        backups=parts.tools.backups,
        duties=duties,
        overrides=overrides,
        messengers=parts.reports.messengers,
        who_approves=partial(describe_approvers, break_glass.authorizer),
    )


def _build_break_glass(settings: Settings, authorizer: Authorizer, subscriptions: Sequence[Subscription]) -> BreakGlass:
    return BreakGlass(
        authorizer=authorizer,
        subscriptions=subscriptions,
        rules=build_alert_rules(settings),
        contact=settings.security.contact or "",
    )


def is_still_allowed(authorizer: Authorizer, registry: Registry, tx: Tx, run_id: str) -> bool:
    """Whether the run goes on, and the people who requested and approved it still have the right to."""
    run = runs.get_run(tx.sql, run_id)
    if (
        run.state != runs.INTENDED
    ):  # Its outcome was recorded while its process was frozen; after that the process opened the gate.
        return False
    proposal = runs.plan_of_run(tx.sql, run)
    return proposal.by_scheduler or review_approvals(authorizer, tx, proposal, registry.action(proposal.verb).risk).runs


def _build_dispatcher(
    parts: RunnerParts,
    break_glass: BreakGlass,
    channels: Mapping[str, ChannelFacts],
    runner: Runner,
    live_answers: LiveAnswers,
    *,
    cards: CardSettings,
    duties: Duties,
) -> Dispatcher:
    verifiers = {name: one for name, one in channels.items() if isinstance(one, AccountVerifier)}
    return Dispatcher(
        parts.store,
        registry=parts.registry,
        break_glass=break_glass,
        account_verification=AccountVerification(store=parts.store, verifiers=verifiers),
        tools=parts.tools,
        runner=runner,
        live_answers=live_answers,
        on_commit=parts.on_commit,
        cards=cards,
        duties=duties,
    )


def _build_upkeep(
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


def _stores(settings: Settings) -> Mapping[str, str]:
    """Each store of backups, with its service; "" for none."""
    return {one.name: one.service or "" for one in settings.backups.stores}


def _name_lookup(settings: Settings) -> Callable[[Request], KnownNames]:
    people, rotas = build_people(settings), tuple(settings.rotas)
    return partial(known_names, people, _services(settings), stores=_stores(settings), rotas=rotas)


def _build_authorizer(
    settings: Settings,
    linking: AccountLinking,
    channels: Mapping[str, ChannelFacts],
    *,
    backups: Backups | None,
    duties: Duties,
) -> Authorizer:
    return Authorizer(
        policy=build_policy(settings, duties),
        linking=linking,
        environments={one.name: one.environment for one in settings.services},
        stores=_stores(settings),
        name_lookup=_name_lookup(settings),
        scheduled_rule=partial(scheduled_rule, backups.stores if backups else {}),
        pagers=frozenset(name for name, channel in channels.items() if channel.pages),
        external_policy=None
        if settings.opa is None
        else import_module("bot.integrations.opa.client").Opa(settings.opa),
    )


def _raise_alert(store: Store, take: Take, name: str, run: str, message: str) -> None:
    """Raise an alert that pages about a run. Raises `Unavailable` when it is unknown whether the alert is stored."""
    stored: Future[IntakeResult | Exception] = Future()
    take(internal.about_run(name, run, message, store.now()), stored.set_result)
    try:
        taken = stored.result(_STORED_WITHIN_S)
    except TimeoutError:
        raise Unavailable(f"{name} was not stored within {_STORED_WITHIN_S:.0f} s") from None
    if isinstance(taken, Exception):
        raise Unavailable(str(taken)) from taken
