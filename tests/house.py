"""The House: the whole bot on a real store, driven by tests in sentences, with a clock that only tests move.

Only the channels are fakes, and strict ones: a message that is sent while a transaction is open fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import commands
from bot.access.account_linking import AccountLinking
from bot.access.authorizer import Authorizer, ExternalPolicy
from bot.access.break_glass import BreakGlass
from bot.access.identity import People
from bot.access.policy import Freeze, Policy, Role, Rule
from bot.actions.progress import RunReports
from bot.actions.runner import Runner
from bot.actions.runner import RunnerParts as RunsParts
from bot.actions.upkeep import Upkeep
from bot.alerts import internal
from bot.alerts.classification import AlertRules
from bot.alerts.intake import Intake, IntakeResult
from bot.app.build_rotas import on_call_for
from bot.app.kept_overrides import KeptOverrides
from bot.app.scheduler import Scheduler
from bot.backups.drill_schedule import scheduled_rule
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.dispatcher import Dispatcher
from bot.chatops.live_answers import LiveAnswers
from bot.chatops.registry import args_of, known_names
from bot.core.action import Tools
from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.audit import Code
from bot.core.channel import AccountVerifier, Channel, Gateway, GroupPlatform, RateLimit, WebhookResponse
from bot.core.errors import Refusal, Rejected, Undelivered
from bot.core.incident import Committed, Event, EventType, Incident
from bot.core.message import MessageKind, Notification, Subscription
from bot.core.plan import Risk
from bot.core.registry import Registry
from bot.core.request import UNKNOWN_PRINCIPAL, Principal, Reply, Request
from bot.core.rota import Rota
from bot.incidents import undelivered
from bot.notifications.card import CardSettings
from bot.notifications.sender import Backoff, Sender
from bot.oncall.duties import Duties
from bot.store import audit_log, outbox
from bot.store.engine import Store, Unavailable
from bot.store.views import DeliveryView
from tests.dials import Dials, Turn
from tests.fakes.chat import Chat

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: A machine that stands still for some seconds is no database that does not answer.
_PATIENCE_S = 60.0
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "info": Severity.INFO,
}
ANA = Principal(id="ana", name="Ana", roles=frozenset({"responder", "turner"}))
BO = Principal(id="bo", name="Bo", roles=frozenset({"responder"}))
CY = Principal(id="cy", name="Cy", roles=frozenset({"approver", "settler"}))
ACCOUNTS = {
    ("slack", "U1"): ANA,
    ("telegram", "1001"): ANA,
    ("slack", "U2"): BO,
    ("slack", "U3"): CY,
    ("telegram", "1003"): CY,
}
ROLES = (
    Role(name="turner", allow=(Rule(do="turn *"), Rule(do="undo"), Rule(do="keep"), Rule(do="runs"))),
    Role(name="settler", allow=(Rule(do="settle"), Rule(do="runs"))),
)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **much: float) -> None:
        self.at += timedelta(**much)


def alert(
    name: str = "HighErrorRate",
    *,
    firing: bool = True,
    fingerprint: str | None = None,
    group: str = "api",
    starts_at: datetime = NOON,
    severity: str = "critical",
    labels: Mapping[str, str] | None = None,
    ends_at: datetime | None = None,
) -> Alert:
    return Alert(
        source="alertmanager",
        group=group,
        fingerprint=fingerprint or f"{name}-1",
        firing=firing,
        labels={"alertname": name, "severity": severity, **(labels or {})},
        annotations={},
        starts_at=starts_at,
        ends_at=ends_at,
    )


@dataclass
class Mouthpiece:
    """A fake channel that records its notifications. `fail_with`: errors for the next deliveries, one each."""

    name: str
    kinds: frozenset[MessageKind]
    event_types: frozenset[EventType] = frozenset(EventType)
    limits: tuple[RateLimit, ...] = ()
    threads: int = 1
    accounts: bool = True
    pages: bool = False
    severities: frozenset[Severity] = frozenset(Severity)  #: the incidents that it takes, by their worst severity
    local: bool = False
    ignores_above: int | None = None
    problem: str | None = None  #: what its health check says
    title: str = ""  #: its name, capitalized, where none is given
    given: list[Notification] = field(default_factory=list)
    fail_with: list[Exception] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(
        default_factory=list
    )  #: called while a notification is being sent, one for each
    busy: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.title = self.title or self.name.capitalize()

    def deliver(self, notice: Notification) -> str | None:
        assert not self.busy(), "a channel was called inside a transaction"
        self.given.append(notice)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.fail_with:
            raise self.fail_with.pop(0)
        if notice.kind is MessageKind.CARD:
            return notice.ref or f"{self.name}:{notice.incident.id}"
        return None

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        raise AssertionError("a fake channel receives no requests")

    def start(self, door: Gateway) -> None:
        """There is nothing to listen to."""

    def stop(self) -> None:
        """There is nothing to stop."""

    def health_problem(self) -> str | None:
        return self.problem

    def accepts(self, incident: Incident) -> bool:
        return incident.worst in self.severities

    def said(self) -> list[str]:
        """What it was given, in order, one line each."""
        return [_line(notice) for notice in self.given]


def _line(notice: Notification) -> str:
    if notice.kind is MessageKind.CARD:
        return f"{'edit' if notice.ref else 'post'} {notice.incident.status} {notice.incident.title}"
    assert notice.event is not None
    return f"{notice.kind} {notice.event.type}: {notice.event.text}"


class House:
    """`hears` delivers alerts as a source does, `says` sends a person's command, `drain` sends all due messages.

    `url`: that of a migrated database.
    """

    def __init__(
        self,
        url: str,
        *,
        rules: AlertRules | None = None,
        roles: Sequence[Role] = ROLES,
        freezes: Sequence[Freeze] = (),
        opinion: ExternalPolicy | None = None,
        cards: CardSettings | None = None,
    ) -> None:
        self.clock = Clock()
        self.opinion = opinion
        self.written: list[Committed] = []
        self.store = Store(url, now=self.clock)
        chat = frozenset({MessageKind.CARD, MessageKind.LINE})
        self.slack = Mouthpiece("slack", chat)
        self.telegram = Mouthpiece("telegram", chat)
        paged = frozenset(
            {EventType.OPENED, EventType.REOPENED, EventType.SEVERITY_RAISED, EventType.PAGED_AGAIN, EventType.ACKED}
            | {EventType.RESOLVED}
        )
        self.pagerduty = Mouthpiece(
            "pagerduty", frozenset({MessageKind.PAGE}), event_types=paged, pages=True, title="PagerDuty"
        )
        self.channels = [self.slack, self.telegram, self.pagerduty]
        for one in self.channels:
            one.busy = self.store.writing
        mouths = [
            Subscription(
                name=one.name,
                kinds=one.kinds,
                event_types=one.event_types,
                accepts=one.accepts,
                health_problem=one.health_problem,
                called=said,
            )
            for one, said in zip(self.channels, ("Slack", "Telegram", "PagerDuty"), strict=True)
        ]
        rules = rules or AlertRules(severities=SEVERITIES)
        self.intake = Intake(
            self.store,
            rules=rules,
            subscriptions=mouths,
            on_commit=self.written.append,
            answer_within_s=_PATIENCE_S,
        )
        self.accounts: dict[tuple[str, str], str] = {}  #: account -> person, by the settings; a change counts at once
        self.vouches: dict[str, AccountVerifier] = {}  #: platforms that are asked whether accounts are still active
        self.people: dict[str, Principal] = {}  #: the people of the settings; a change counts at once
        self.dials = Dials()
        self.well: bool | None = True  #: the answer of the metrics store
        self.seals = ""  #: the reason why the audit log cannot be sealed; "" while it can
        self.while_sealing: list[Callable[[], object]] = []  #: called between an intent and its run, one for each
        self.verbs = Registry(commands=commands.find(), actions=commands.actions())
        self.action()
        tools = Tools(now=self.clock, metrics=self)
        self.chat = Chat()  #: the Slack that progress and results of long runs are posted to
        self.reports = RunReports(self.store, {"slack": self.chat})
        self.groups: dict[str, dict[str, bool | None]] = {}  #: Slack account -> its groups, and whether it is in them
        self.mouths = mouths
        self.tools = tools
        self.rules, self.roles, self.freezes = rules, roles, freezes
        self.on_call: dict[str, list[str]] = {}  #: service -> people and rotas, as written; read at the next `settle`
        self.rotas: dict[str, Rota] = {}  #: read at the next `settle`
        self.services: tuple[str, ...] = ()  #: the services of the catalog; read at the next `settle`
        self.environments: dict[str, str | None] = {}  #: of each service of the catalog; read at the next `settle`
        self.cards = cards or CardSettings(
            public_url="http://vakhta.example", names={one.id: one.name for one in (ANA, BO, CY)}
        )
        self.settle(ACCOUNTS)
        self.delivery = Sender(
            self.store,
            self.channels,
            report_failure=partial(undelivered.report_undelivered, subscriptions=mouths),
            report_channel=partial(undelivered.report_channel, subscriptions=mouths),
            cards=self.cards,
            on_commit=self.written.append,
            patience=Backoff(initial=timedelta(seconds=1), maximum=timedelta(seconds=1)),
        )
        self.watch = Scheduler(
            self.store,
            subscriptions=mouths,
            on_commit=self.written.append,
            take=lambda delivered, done: done(self.hears_all(delivered)[0]),
            late_copy=rules.late_copy,
            quiet=rules.course.quiet,
        )
        self.intake.start()

    def settle(
        self, accounts: Mapping[tuple[str, str], Principal], groups: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        """Restart with these people in the settings, and these roles given to Slack's groups."""
        self.people = {who.id: who for who in accounts.values()}
        self.accounts = {account: who.id for account, who in accounts.items()}
        people = People(persons=self.people, accounts=self.accounts, groups=groups or {})
        self._people = people
        self.linking = AccountLinking(
            people,
            GroupPlatform(channel="slack", name="Slack", read=lambda account: self.groups.get(account, {})),
            places=[one.name for one in self.channels],
            typed=["in Slack it is `/vakhta link ...`"],
        )
        named = {service: on_call_for(written) for service, written in self.on_call.items()}
        self.overrides = KeptOverrides(self.store)
        self.overrides.refresh()
        duties = Duties(named, self.rotas, self.clock, self.overrides)
        rights = Authorizer(
            policy=Policy(self.roles, people=self.people.values(), freezes=self.freezes, on_call=duties),
            linking=self.linking,
            environments=self.environments,
            external_policy=self.opinion,
            pagers=frozenset({self.pagerduty.name}),
            name_lookup=partial(known_names, people, self.services, rotas=tuple(self.rotas)),
            scheduled_rule=partial(scheduled_rule, self.tools.backups.stores if self.tools.backups else {}),
        )
        breaking = BreakGlass(authorizer=rights, subscriptions=self.mouths, rules=self.rules, contact="carla")
        self.runs = Runner(
            RunsParts(
                reports=self.reports,
                store=self.store,
                registry=self.verbs,
                args_of=partial(args_of, self.verbs),
                tools=self.tools,
                subscriptions=self.mouths,
                on_commit=self.written.append,
                seal=self._seal,
                raise_alert=self._alarm,
                authorizer=rights,
            )
        )
        self.dispatcher = Dispatcher(
            self.store,
            registry=self.verbs,
            break_glass=breaking,
            account_verification=AccountVerification(store=self.store, verifiers=self.vouches),
            tools=self.tools,
            runner=self.runs,
            live_answers=LiveAnswers({}),
            cards=self.cards,
            duties=duties,
            on_commit=self.written.append,
        )
        self.tending = Upkeep(
            store=self.store,
            undo=self.dispatcher.undo_automatically,
            runner=self.runs,
            reports=self.reports,
            metrics=self,
            raise_alert=self._alarm,
            break_glass=breaking,
            on_commit=self.written.append,
        )
        with self.store.begin() as tx:
            self.linking.remove_overruled(tx)

    def close(self) -> None:
        self.runs.stop(timedelta(seconds=5))
        self.intake.stop()
        self.store.close()

    def hears(self, *alerts: Alert, truncated: int = 0, rejected: tuple[tuple[str, str], ...] = ()) -> IntakeResult:
        """One delivery of a source, answered."""
        body = repr((alerts, truncated, rejected)).encode()
        return self.hears_all(
            AlertBatch(
                source="alertmanager",
                group=alerts[0].group if alerts else "",
                alerts=alerts,
                body=body,
                truncated=truncated,
                rejected=rejected,
            )
        )[0]

    def hears_all(self, *delivered: AlertBatch) -> list[IntakeResult]:
        """Deliveries that arrive at the same time."""
        answers: list[Future[IntakeResult]] = [Future() for _ in delivered]
        for one, answer in zip(delivered, answers, strict=True):
            self.intake.take(one, into(answer))
        return [answer.result(60) for answer in answers]

    def hears_in_one_commit(self, *delivered: AlertBatch) -> list[IntakeResult]:
        """Deliveries that wait while another one is stored, so that they share the next commit."""
        other = AlertBatch(source="alertmanager", group="other", alerts=(alert("Other", group="other"),))
        answers: list[Future[IntakeResult]] = [Future() for _ in (other, *delivered)]
        with self.store.begin():
            self.intake.take(other, into(answers[0]))
            while self.intake.waiting():  # until the intake has taken it, and waits for this transaction to end
                pass
            for one, answer in zip(delivered, answers[1:], strict=True):
                self.intake.take(one, into(answer))
        return [answer.result(60) for answer in answers][1:]

    def cannot_read(self, body: bytes, said: str = "Not JSON.", code: str = "bad_json") -> IntakeResult:
        answer: Future[IntakeResult] = Future()
        self.intake.keep("alertmanager", body, Rejected(said, code=code), into(answer))
        return answer.result(60)

    def says(
        self,
        words: str,
        *,
        by: Principal = ANA,
        place: str = "slack",
        once: str = "",
        here: int | None = None,
        spot: str = "",
    ) -> Reply:
        account = self._people.account_of(by.id, place) or ""
        ask = Request(
            by=by, text=words, channel=place, account=account, idempotency_key=once, incident_id=here, thread=spot
        )
        return self.dispatcher.handle(ask)

    def action(
        self,
        *,
        risk: Risk = Risk.REVERSIBLE,
        check: str = "",
        reads: bool = False,
        slow: bool = False,
        typed: bool = False,
    ) -> None:
        """Make `turn` an action with these properties."""
        turn: Any = Turn(self.dials, risk=risk, check=check, read_only=reads, long_running=slow, typed=typed)
        self.verbs.actions["turn"] = turn

    def takes_away(self, *roles: str, of: str = "ana") -> None:
        """Take these roles from a person."""
        self.people[of] = replace(self.people[of], roles=self.people[of].roles - set(roles))

    def tends(self) -> None:
        """One tick of the periodic work on plans and runs."""
        self.tending.tick()

    def holds(self, expression: str) -> bool | None:
        assert expression, "a check without an expression was asked"
        return self.well

    def audited(self) -> list[Code]:
        """The codes of all audit entries, in order."""
        with self.store.read() as reading:
            return [
                Code(json.loads(one.body)["code"]) for one in audit_log.entries(reading.sql, audit_log.EntryFilter())
            ]

    def _seal(self, uids: Sequence[str]) -> None:
        assert uids, "nothing was to be sealed"
        if self.while_sealing:
            self.while_sealing.pop(0)()
        if self.seals:
            raise Unavailable(self.seals)

    def _alarm(self, name: str, run: str, said: str) -> None:
        self.hears_all(internal.about_run(name, run, said, self.clock()))

    def hears_from(self, place: str, account: str, words: str, *, private: bool = True, once: str = "") -> Reply:
        """Text sent from an account, linked to a person or not."""
        by = self.dispatcher.person(place, account) or UNKNOWN_PRINCIPAL
        return self.dispatcher.handle(
            Request(by=by, text=words, channel=place, account=account, private=private, idempotency_key=once)
        )

    def incident(self, number: int = 1) -> Incident:
        with self.store.read() as reading:
            found = reading.incident(number)
        assert found is not None, f"there is no incident {number}"
        return found

    def incidents(self) -> list[Incident]:
        with self.store.read() as reading:
            return reading.incidents()

    def story(self, number: int = 1) -> list[Event]:
        with self.store.read() as reading:
            return [event for _, event in reading.events(number)]

    def deliveries(self, number: int = 1) -> list[DeliveryView]:
        with self.store.read() as reading:
            return reading.deliveries(number)

    def drain(self, *channels: Channel) -> None:
        """Send what is due now, through all channels or these."""
        for channel in channels or self.channels:
            for _ in range(1000):
                if self.delivery.send_next(channel).seconds:
                    break

    def claim(self, channel: Mouthpiece, lease: timedelta = timedelta(seconds=30)) -> outbox.Claim:
        """Claim a message as another sender would, and keep the claim."""
        with self.store.begin(channel.name) as tx:
            found = outbox.claim(tx, channel.name, limits=channel.limits, lease=lease)
        assert isinstance(found, outbox.Claim), f"nothing to claim: {found}"
        return found


def verbs_listed(text: str) -> set[str]:
    """The verbs that an answer of `help` lists, one on each line."""
    return {line.partition(":")[0] for line in text.splitlines() if ": " in line}


def down(
    said: str = "503", *, permanent: bool = False, after: timedelta | None = None, refused: Refusal | None = None
) -> Undelivered:
    return Undelivered(said, permanent=permanent, retry_after=after, refused=refused)


def into(answer: Future[IntakeResult]) -> Callable[[IntakeResult | Exception], None]:
    def put(result: IntakeResult | Exception) -> None:
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    return put
