"""The composition root: builds and joins all parts. The only file that knows every concrete class."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

from bot.access import unauthenticated
from bot.access.unauthenticated import UnauthenticatedRequests
from bot.alerts import internal, refused_senders, unheard, unknown_severities
from bot.alerts.intake import Intake, IntakeResult
from bot.alerts.refused_senders import RefusedSenders
from bot.alerts.unheard import UnheardAlerts
from bot.alerts.unknown_severities import UnknownSeverities
from bot.app import database_damage, disaster_export, interpreter, kept_overrides
from bot.app.build import (
    build_alert_rules,
    build_card_settings,
    build_channels,
    build_notary,
    build_subscriptions,
    flagger_tokens,
    open_store,
)
from bot.app.build_backups import build_freshness
from bot.app.build_chatops import build_chatops
from bot.app.build_drills import Tick, drill_ticks
from bot.app.build_sources import build_alerts_endpoint
from bot.app.build_tools import build_alert_states, build_tools
from bot.app.database_damage import DamageAlert
from bot.app.disaster_export import DisasterExport, made_paper
from bot.app.scheduler import Scheduler, on_own_thread
from bot.app.shutdown import LEFT_BEHIND, ShutdownSteps, StopSignal
from bot.app.welcome import welcome
from bot.backups import freshness
from bot.config.settings import Settings
from bot.core.alert import AlertBatch
from bot.core.channel import LearningChannel
from bot.core.incident import CONSOLE, Committed
from bot.core.message import MessageKind, Subscription
from bot.incidents import undelivered
from bot.integrations.console.channel import Console
from bot.lib import failpoints, terminal
from bot.lib.metrics import Metrics, OutboxSize
from bot.notifications.channel_text import problem_text
from bot.notifications.sender import Sender
from bot.store import channel_health, outbox
from bot.store.backup_rows import StoredBackupRecords
from bot.store.channel_facts import StoredKeptFacts
from bot.store.engine import Unavailable
from bot.store.outbox import Claim
from bot.web import server
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients

logger = logging.getLogger(__name__)

#: Part of the shutdown time that is reserved for closing what is left.
_CLOSING = timedelta(seconds=2)
#: A step with its own time limit may exceed it by this much before it counts as hanging.
_SPARE = timedelta(seconds=1)
#: How often the start tries to write. A replica that froze inside a transaction keeps its locks until the database ends
#: its session (`timeouts.IDLE_TIMEOUT_S`), which is longer than one attempt waits for a lock.
_START_TRIES = 3


def run(settings: Settings) -> None:
    """Run the bot until SIGTERM or SIGINT."""
    failpoints.arm(os.environ.get("VAKHTA_FAILPOINT", ""))
    stop = StopSignal()
    stop.end_within(settings.server.drain)
    bot = Bot(settings)
    try:
        url = bot.start()
    except Unavailable as trouble:
        # Threads that have started would keep a half-started process alive; its supervisor restarts it after this exit.
        logger.error("not started: the database did not answer", extra={"why": str(trouble)})  # noqa: TRY400 - one line
        logging.shutdown()
        os._exit(LEFT_BEHIND)
    interpreter.freeze_heap()
    logger.info("watching", extra={"url": url, "channels": sorted(bot.channels)})
    if settings.channels.console.enabled:
        terminal.err(welcome(url, settings), end="")
    bot.web.when_ended(stop.come)
    stop.wait(None)
    if not bot.web.alive():
        raise SystemExit("The web server stopped unexpectedly. See the log.")
    logger.info("stopping")
    hanging = bot.stop()
    logger.log(logging.ERROR if hanging else logging.INFO, "stopped", extra={"left_behind": hanging} if hanging else {})
    logging.shutdown()
    # A normal exit would wait for a thread that hangs in a provider's call.
    os._exit(LEFT_BEHIND if hanging else 0)


def migrate(settings: Settings) -> None:
    """Migrate the database to this version."""
    open_store(settings).close()


class Bot:
    """All running parts, joined. `start` returns the URL of the web server."""

    def __init__(self, settings: Settings) -> None:
        # The address is taken first: a second bot at the same address must not touch the database of the first one.
        listener = server.listen_at(settings.server.listen)
        self._settings = settings
        self._drain = settings.server.drain
        self.meters = Metrics()
        self.store = open_store(settings, self.meters, alone=True)
        self.channels = build_channels(settings)
        subscriptions = build_subscriptions(self.channels)
        self._feed_signal = FeedSignal()
        console = self.channels.get(CONSOLE)
        if isinstance(console, Console):
            console.print_line = self._feed_signal.send_line
        self._refusal_logged_at = 0.0
        self.intake = self._build_intake(subscriptions)
        self._unauthenticated = UnauthenticatedRequests(self.store, self.meters)
        self._refused_senders = RefusedSenders(self.store.now, self.intake.take)
        self._took_over = False  #: what an earlier process reported of them
        self.notary = build_notary(settings, self.store, self.meters, self.channels)
        tools = build_tools(settings, self.store.now, records=StoredBackupRecords(self.store))
        self._backups = tools.backups
        chatops = build_chatops(
            settings,
            self.store,
            channels=self.channels,
            subscriptions=subscriptions,
            on_commit=self._on_commit,
            seal=self.notary.seal_now,
            take=self.intake.take,
            tools=tools,
        )
        self._chatops = chatops
        self.dispatcher, self.account_linking = chatops.dispatcher, chatops.account_linking
        self.sender = self._build_sender(subscriptions)
        drills = drill_ticks(self.store, chatops, self.intake.take, self.meters)
        self.scheduler = self._build_scheduler(subscriptions, chatops.upkeep.tick, drills)
        self._alerts = build_alerts_endpoint(
            settings, submit=self.intake.take, quarantine=self.intake.keep, on_refused=self._on_sender_refused
        )
        self.web = server.Server(self._build_web(), listener)

    def _build_intake(self, subscriptions: Sequence[Subscription]) -> Intake:
        rules = build_alert_rules(self._settings)
        count = self.meters.unknown_severities_total.inc
        self._unknown_severities = UnknownSeverities(rules.unknown_severity, count)
        return Intake(
            self.store,
            rules=replace(
                rules,
                on_unknown_severity=self._unknown_severities.heard,
                on_unowned=self.meters.unowned_alerts_total.inc,
            ),
            subscriptions=subscriptions,
            on_commit=self._on_commit,
            observe=self._observe_intake,
        )

    def _build_scheduler(
        self, subscriptions: Sequence[Subscription], upkeep: Callable[[], None], drills: Sequence[Tick]
    ) -> Scheduler:
        return Scheduler(
            self.store,
            subscriptions=subscriptions,
            on_commit=self._on_commit,
            take=self.intake.take,
            late_copy=self._settings.incidents.late_copy,
            quiet=self._settings.incidents.flapping.quiet,
            ticks=(*self._ticks(upkeep, subscriptions), *drills),
        )

    def _ticks(
        self, upkeep: Callable[[], None], subscriptions: Sequence[Subscription]
    ) -> tuple[tuple[Callable[[], None], int], ...]:
        report_damage = DamageAlert(self.store, self.intake.take).report
        look_for_unheard = UnheardAlerts(
            self.store,
            rules=build_alert_rules(self._settings),
            subscriptions=subscriptions,
            on_commit=self._on_commit,
            after=self._settings.incidents.unheard_after,
            states=build_alert_states(self._settings),
        ).tick
        return (
            *self.notary.ticks(),
            (self._unauthenticated.record, unauthenticated.EVERY_S),
            (upkeep, 1),
            (report_damage, database_damage.EVERY_S),
            (self._report_unknown_severities, unknown_severities.EVERY_S),
            (look_for_unheard, unheard.EVERY_S),
            (self._report_refused_senders, refused_senders.EVERY_S),
            (self._chatops.overrides.refresh, kept_overrides.EVERY_S),
            *self._ticks_of_backups(),
        )

    def _ticks_of_backups(self) -> tuple[tuple[Callable[[], None], int], ...]:
        if self._backups is None:
            return ()
        watch = build_freshness(self._settings, self._backups, self.store, self.intake.take, self.meters)
        return ((watch.tick, freshness.EVERY_S), *self._ticks_of_the_disaster_plan())

    def _ticks_of_the_disaster_plan(self) -> tuple[tuple[Callable[[], None], int], ...]:
        places = self._settings.backups.dr
        if places is None:
            return ()
        records = StoredBackupRecords(self.store)
        export = DisasterExport(
            places,
            make=lambda: made_paper(self._settings, "SETTINGS", records, self.store.now()),
            now=self.store.now,
            written=lambda at: self.meters.disaster_plan_timestamp_seconds.set(at.timestamp()),
        )
        return ((on_own_thread("disaster-plan", [export.tick]), disaster_export.EVERY_S),)

    def _report_refused_senders(self) -> None:
        if not self._took_over:
            self._took_over = True
            with self.store.read() as reading:
                self._refused_senders.take_over(reading.firing_in_groups(internal.OWN, internal.REFUSED))
        self._refused_senders.report()

    def _report_unknown_severities(self) -> None:
        self._unknown_severities.report(self.store.now(), self.intake.take)

    def _build_sender(self, subscriptions: Sequence[Subscription]) -> Sender:
        return Sender(
            self.store,
            list(self.channels.values()),
            report_failure=partial(undelivered.report_undelivered, subscriptions=subscriptions),
            report_channel=partial(undelivered.report_channel, subscriptions=subscriptions),
            cards=build_card_settings(
                self._settings, partial(self.account_linking.account_of, self.store), self._chatops.duties
            ),
            on_commit=self._on_commit,
            observe=self._observe_delivery,
        )

    def start(self) -> str:
        """Start all parts. Messages that a dead process left half sent are released before anything is claimed."""
        self._take_up_work()
        self.store.start()
        self.notary.start()
        self.intake.post = self.web.post_answer
        self.intake.soon = self.web.call_soon
        self.intake.start()
        self.web.start()
        for name, channel in self.channels.items():
            if isinstance(channel, LearningChannel):
                channel.learn_into(StoredKeptFacts(self.store, name))
            channel.start(self.dispatcher)
        self.sender.start()
        self.scheduler.start()
        return self.web.url()

    def _take_up_work(self) -> None:
        for tries_left in reversed(range(_START_TRIES)):
            try:
                with self.store.begin() as tx:
                    outbox.release_expired(tx, everything=self.store.sqlite)
                    channel_health.try_now(tx)
                    self.account_linking.remove_overruled(tx)
            except Unavailable as trouble:
                if not tries_left:
                    raise
                logger.warning("the start waits for the database", extra={"why": str(trouble)})
            else:
                return

    def stop(self) -> list[str]:
        """Finish the requests and messages under way and claim no new ones, within `server.drain` of the settings.

        Returns the names of the parts that hang and were left behind.
        """
        budget = max(timedelta(seconds=1), self._drain - _CLOSING - _SPARE)
        steps = ShutdownSteps(max(self._drain / 2, self._drain - _SPARE))
        steps.begin("scheduler", self.scheduler.stop)
        steps.begin("sender", partial(self.sender.stop, budget))
        steps.do("web", partial(self.web.stop, budget / 2), budget / 2 + _SPARE)
        steps.join("scheduler", budget / 4)
        steps.join("sender", budget)
        steps.do("runs", partial(self._chatops.stop, budget / 4), budget / 4 + _SPARE)
        self._alerts.stop()
        for name, channel in self.channels.items():
            steps.begin(name, channel.stop)
        steps.do("intake", self.intake.stop, _CLOSING)
        steps.do("unauthenticated", self._unauthenticated.record, _CLOSING)
        steps.do("audit", partial(self.notary.stop, _CLOSING), _CLOSING + _SPARE)
        for name in self.channels:
            steps.join(name, _SPARE / len(self.channels))
        steps.do("store", self.store.close, _CLOSING)
        return steps.hanging()

    def _build_web(self) -> server.WebApp:
        return server.build_web(
            alerts=self._alerts,
            store=self.store,
            channels=self.channels,
            checks={"store": self._ping, "intake": self.intake.storage_problem},
            channel_checks={name: partial(self._channel_problem, name) for name in self.channels},
            note_checks={"file": self.store.damage} if self.store.sqlite else {},
            outbox_sizes=self._outbox_sizes,
            meters=self.meters,
            on_refused=self._unauthenticated.count,
            feed_signal=self._feed_signal,
            flagger=GateClients(answer=self._chatops.flagger_gates.answer, tokens=flagger_tokens(self._settings)),
            public_url=self._settings.server.public_url,
            api_token=self._settings.server.api_token,
            version=version("vakhta"),
            cards=build_card_settings(self._settings, duties=self._chatops.duties),
            backups=self._backups,
            duties=self._chatops.duties,
            who_approves=self._chatops.who_approves,
        )

    def _ping(self) -> str | None:
        with self.store.read() as reading:
            reading.ping()
        return None

    def _channel_problem(self, name: str) -> str | None:
        """What the channel itself knows, or else what its messages met with."""
        known = self.channels[name].health_problem()
        if known:
            return known
        now = self.store.now()
        try:
            with self.store.read() as reading:
                pauses = channel_health.pauses(reading.sql, now, name)
                return problem_text(self.channels[name].title, pauses, channel_health.troubles(reading.sql, name), now)
        except Unavailable:
            return None  # The check of the store tells that.

    def _outbox_sizes(self) -> Iterable[OutboxSize]:
        now = self.store.now()
        with self.store.read() as reading:
            sizes = reading.outbox_size()
            pauses = {one.channel: one.asked_until - now for one in channel_health.pauses(reading.sql, now)}
        return [
            OutboxSize(
                channel=name,
                count=sizes[name][0] if name in sizes else 0,
                oldest_s=(now - sizes[name][1]).total_seconds() if name in sizes else 0.0,
                pause_s=pauses.get(name, timedelta(0)).total_seconds(),
            )
            for name in sorted({*sizes, *(name for name, channel in self.channels.items() if channel.kinds)})
        ]

    def _on_commit(self, committed: Committed) -> None:
        if not committed:
            return
        self.sender.wake(committed.channels)
        self._feed_signal.notify()
        for event_type in set(committed.event_types):
            self.meters.incidents_total.labels(str(event_type)).inc(committed.event_types.count(event_type))
        for state in committed.run_states:
            self.meters.runs_total.labels(str(state)).inc()

    def _observe_intake(self, answers: Sequence[tuple[AlertBatch, IntakeResult | Exception]]) -> None:
        if any(isinstance(taken, IntakeResult) for _, taken in answers):
            self.meters.commits_total.inc()
            self.meters.batch_size.observe(len(answers))
        codes = Counter((one.source, getattr(taken, "code", "not_stored")) for one, taken in answers)
        for (source, code), count in codes.items():
            self.meters.webhooks_total.labels(source, code).inc(count)
        for source in {source for source, _ in codes}:
            alerts_of = (
                taken.accepted for one, taken in answers if one.source == source and isinstance(taken, IntakeResult)
            )
            self.meters.alerts_total.labels(source).inc(sum(alerts_of))
        aside = sum(count for (_, code), count in codes.items() if code == "set_aside")
        self.meters.quarantined_total.inc(aside)

    def _observe_delivery(self, one: Claim, outcome: str, now: datetime) -> None:
        self.meters.deliveries_total.labels(one.channel, str(one.kind), outcome).inc()
        if one.kind is MessageKind.PAGE and outcome == "sent":
            self.meters.page_latency_seconds.observe((now - one.owed_at).total_seconds())

    def _on_sender_refused(self, source: str, code: str, request_id: str, address: str) -> None:
        self._unauthenticated.count(source, code)
        self._refused_senders.count(source, address, code)
        if time.monotonic() - self._refusal_logged_at > 1.0:  # a flood is counted, and logged once a second
            self._refusal_logged_at = time.monotonic()
            about = {"source": source, "code": code, "request_id": request_id}
            logger.warning("sender turned away", extra=about)
