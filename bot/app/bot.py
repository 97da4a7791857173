"""The one place where everything is built and joined; the only file that knows every concrete class."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

from bot.access import unauthenticated
from bot.access.account_linking import AccountLinking
from bot.access.unauthenticated import UnauthenticatedRequests
from bot.alerts.intake import Intake, IntakeResult
from bot.app import database_damage, interpreter
from bot.app.build import (
    build_notary,
    build_people,
    build_rules,
    flagger_tokens,
    load_channels,
    open_store,
    subscriptions_of,
)
from bot.app.build_chatops import build_chatops
from bot.app.build_sources import build_alerts_endpoint
from bot.app.database_damage import DamageAlert
from bot.app.scheduler import Scheduler
from bot.app.shutdown import LEFT_BEHIND, ShutdownSteps, StopSignal
from bot.app.welcome import welcome
from bot.config.settings import Settings
from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.core.incident import CLI, CONSOLE, Committed
from bot.core.message import MessageKind, Subscription
from bot.core.request import UNKNOWN_PRINCIPAL, Reply, Request
from bot.incidents import undelivered
from bot.integrations.console.channel import Console
from bot.lib import failpoints, terminal
from bot.lib.metrics import Metrics, OutboxSize
from bot.lib.text import normalized
from bot.notifications.sender import Sender
from bot.store import outbox
from bot.store.audit_seals import Sealer
from bot.store.engine import Unavailable
from bot.store.outbox import Claim
from bot.web import server
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients

logger = logging.getLogger(__name__)

_UNLISTED = (
    "You are not listed: the settings have `people`, and none of them is `local`. Nothing was done."
    " Add {id: local, roles: [...]} under `people`."
)
#: Of the time that a stop may take, this much is kept for closing what is left.
_CLOSING = timedelta(seconds=2)
#: What has a time of its own may take this much longer before it counts as hanging.
_SPARE = timedelta(seconds=1)


def run(settings: Settings) -> None:
    """Watch until SIGTERM or SIGINT."""
    failpoints.arm(os.environ.get("VAKHTA_FAILPOINT", ""))
    # Its successor cannot be pointed at a test's address; that it is deprecated is no news to an operator.
    warnings.filterwarnings("ignore", message='The package "pdpyras" is deprecated')
    stop = StopSignal()
    stop.end_within(settings.server.drain)
    bot = Bot(settings)
    try:
        url = bot.start()
    except Unavailable as trouble:
        # What has begun already would keep the process half alive; whoever looks after it starts it anew.
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
        raise SystemExit("The web server ended by itself; see the log.")
    logger.info("stopping")
    hanging = bot.stop()
    logger.log(logging.ERROR if hanging else logging.INFO, "stopped", extra={"left_behind": hanging} if hanging else {})
    logging.shutdown()
    # A thread that hangs in a provider's call would hold the process for as long as it hangs.
    os._exit(LEFT_BEHIND if hanging else 0)


def ask(settings: Settings, words: str) -> Reply:
    """What the person at this keyboard says, done on the database, whether or not a bot is running on it."""
    failpoints.arm(os.environ.get("VAKHTA_FAILPOINT", ""))
    store = open_store(settings)
    try:
        operator = AccountLinking(build_people(settings)).person(store, CONSOLE, "local")
        made = load_channels(settings)
        subscriptions = subscriptions_of(made)
        intake = Intake(store, rules=build_rules(settings), subscriptions=subscriptions, on_commit=_unheard)
        intake.start()
        try:
            house = build_chatops(
                settings,
                store,
                channels=made,
                subscriptions=subscriptions,
                on_commit=_unheard,
                seal=Sealer(store).seal_now,
                take=intake.take,
                wait_for_results=True,
            )
            message = Request(
                by=operator or UNKNOWN_PRINCIPAL, text=normalized(words), channel=CLI, account="local", private=True
            )
            if operator is None:
                house.dispatcher.record_refusal(message, _UNLISTED)
                raise Rejected(_UNLISTED)
            return house.dispatcher.handle(message)
        except Unavailable as trouble:
            raise Rejected(f"The database did not take it ({trouble}). Nothing was done; say it again.") from None
        finally:
            intake.stop()
            with suppress(Unavailable):  # a bot that runs beside this process seals as well
                Sealer(store).seal()
    finally:
        store.close()


def migrate(settings: Settings) -> None:
    """Bring the database to this version."""
    open_store(settings).close()


class Bot:
    """Everything that runs, joined. `start` returns the URL it answers at."""

    def __init__(self, settings: Settings) -> None:
        # The address comes first: a second bot on it must not touch the database of the first one.
        door = server.listen_at(settings.server.listen)
        self._settings = settings
        self._drain = settings.server.drain
        self.meters = Metrics()
        self.store = open_store(settings, self.meters, alone=True)
        self.channels = load_channels(settings)
        subscriptions = subscriptions_of(self.channels)
        self._bell = FeedSignal()
        console = self.channels.get(CONSOLE)
        if isinstance(console, Console):
            console.print_line = self._bell.say
        self._turned_away_at = 0.0
        self.intake = self._intake(subscriptions)
        self._strangers = UnauthenticatedRequests(self.store, self.meters)
        self.notary = build_notary(settings, self.store, self.meters, self.channels)
        house = build_chatops(
            settings,
            self.store,
            channels=self.channels,
            subscriptions=subscriptions,
            on_commit=self._written,
            seal=self.notary.seal_now,
            take=self.intake.take,
        )
        self.dispatcher, self.account_linking, self._house = house.dispatcher, house.account_linking, house
        self.sender = self._delivery(subscriptions)
        self.scheduler = self._scheduler(subscriptions, house.upkeep.tick)
        self._alerts = build_alerts_endpoint(
            settings, take=self.intake.take, keep=self.intake.keep, alarm=self._turned_away
        )
        self.web = server.Server(self._edge(), door)

    def _intake(self, subscriptions: Sequence[Subscription]) -> Intake:
        return Intake(
            self.store,
            rules=build_rules(self._settings),
            subscriptions=subscriptions,
            on_commit=self._written,
            observe=self._committed,
        )

    def _scheduler(self, subscriptions: Sequence[Subscription], upkeep: Callable[[], None]) -> Scheduler:
        return Scheduler(
            self.store,
            subscriptions=subscriptions,
            on_commit=self._written,
            take=self.intake.take,
            late_copy=self._settings.incidents.late_copy,
            ticks=self._ticks(upkeep),
        )

    def _ticks(self, tend: Callable[[], None]) -> tuple[tuple[Callable[[], None], int], ...]:
        tell_damage = DamageAlert(self.store, self.intake.take).report
        mine = ((self._strangers.record, unauthenticated.EVERY_S), (tend, 1), (tell_damage, database_damage.EVERY_S))
        return (*self.notary.ticks(), *mine)

    def _delivery(self, subscriptions: Sequence[Subscription]) -> Sender:
        return Sender(
            self.store,
            list(self.channels.values()),
            report_failure=partial(undelivered.report_undelivered, subscriptions=subscriptions),
            public_url=self._settings.server.public_url,
            on_commit=self._written,
            observe=self._tried,
        )

    def start(self) -> str:
        """Begin everything. What a process that died here left half sent is owed again before anything is claimed."""
        with self.store.begin() as tx:
            outbox.release_expired(tx, everything=self.store.sqlite)
            self.account_linking.remove_overruled(tx)
        self.store.start()
        self.notary.start()
        self.intake.post = self.web.post_answer
        self.intake.soon = self.web.call_soon
        self.intake.start()
        self.web.start()
        for channel in self.channels.values():
            channel.start(self.dispatcher)
        self.sender.start()
        self.scheduler.start()
        return self.web.url()

    def stop(self) -> list[str]:
        """Answer what was asked, finish what is being sent, claim nothing new; within the settings' `drain`.

        Returns what hangs, and was left behind.
        """
        budget = max(timedelta(seconds=1), self._drain - _CLOSING - _SPARE)
        parts = ShutdownSteps(max(self._drain / 2, self._drain - _SPARE))
        parts.begin("watch", self.scheduler.stop)
        parts.begin("delivery", partial(self.sender.stop, budget))
        parts.do("web", partial(self.web.stop, budget / 2), budget / 2 + _SPARE)
        parts.join("watch", budget / 4)
        parts.join("delivery", budget)
        parts.do("runs", partial(self._house.stop, budget / 4), budget / 4 + _SPARE)
        self._alerts.stop()
        for name, channel in self.channels.items():
            parts.begin(name, channel.stop)
        parts.do("intake", self.intake.stop, _CLOSING)
        parts.do("strangers", self._strangers.record, _CLOSING)
        parts.do("audit", partial(self.notary.stop, _CLOSING), _CLOSING + _SPARE)
        for name in self.channels:
            parts.join(name, _SPARE / len(self.channels))
        parts.do("store", self.store.close, _CLOSING)
        return parts.hanging()

    def _edge(self) -> server.WebApp:
        return server.build_web(
            alerts=self._alerts,
            store=self.store,
            channels=self.channels,
            checks={"store": self._ping, "intake": self.intake.storage_problem},
            shown={name: channel.health_problem for name, channel in self.channels.items()},
            noted={"file": self.store.damage} if self.store.sqlite else {},
            outbox_sizes=self._owed,
            meters=self.meters,
            refused=self._strangers.count,
            feed_signal=self._bell,
            flagger=GateClients(answer=self._house.flagger_gates.answer, tokens=flagger_tokens(self._settings)),
            public_url=self._settings.server.public_url,
            api_token=self._settings.server.api_token,
            version=version("vakhta"),
        )

    def _ping(self) -> str | None:
        with self.store.read() as reading:
            reading.ping()
        return None

    def _owed(self) -> Iterable[OutboxSize]:
        now = self.store.now()
        with self.store.read() as reading:
            owed = reading.outbox_size()
        return [
            OutboxSize(channel=name, count=count, oldest_s=(now - since).total_seconds())
            for name, (count, since) in owed.items()
        ]

    def _written(self, written: Committed) -> None:
        if not written:
            return
        self.sender.wake(written.channels)
        self._bell.notify()
        for what in set(written.event_types):
            self.meters.incidents_total.labels(str(what)).inc(written.event_types.count(what))
        for state in written.run_states:
            self.meters.runs_total.labels(str(state)).inc()

    def _committed(self, answers: Sequence[tuple[AlertBatch, IntakeResult | Exception]]) -> None:
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

    def _tried(self, one: Claim, outcome: str, now: datetime) -> None:
        self.meters.deliveries_total.labels(one.channel, str(one.kind), outcome).inc()
        if one.kind is MessageKind.PAGE and outcome == "sent":
            self.meters.page_latency_seconds.observe((now - one.owed_at).total_seconds())

    def _turned_away(self, source: str, code: str, request_id: str) -> None:
        self._strangers.count(source, code)
        if time.monotonic() - self._turned_away_at > 1.0:  # a flood of them is counted, not written down
            self._turned_away_at = time.monotonic()
            about = {"source": source, "code": code, "request_id": request_id}
            logger.warning("sender turned away", extra=about)


def _unheard(written: Committed) -> None:
    """A bot that runs beside this process looks at the queue by itself, once a second."""
