"""Builds the store, the channels, the policy and the other parts that follow from the settings alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from bot.access.account_linking import AccountLinking
from bot.access.conditions import Conditions
from bot.access.identity import People
from bot.access.policy import Freeze, Policy, Role, Rule
from bot.alerts.classification import AlertRules
from bot.app.build_rotas import build_duties
from bot.audit import anchors, signed_note
from bot.audit.anchors import Keep, PutAnchor
from bot.audit.signer import Signer
from bot.config.access import DenyWhenSettings, RoleSettings
from bot.config.audit import S3AnchorSettings
from bot.config.incidents import FlappingSettings, PageAgainSettings
from bot.config.paths import is_there
from bot.config.settings import Settings, channels_known
from bot.core.alert import Severity
from bot.core.catalog import Catalog, Service, Team
from bot.core.channel import Channel, ChannelFacts, GroupPlatform, Messenger, UserGroupChannel
from bot.core.incident import CONSOLE
from bot.core.message import Contact, Subscription
from bot.core.request import Principal
from bot.core.rota import OnCallNow
from bot.core.severity_words import USUAL_SEVERITIES
from bot.incidents.transitions import CourseRules
from bot.integrations import channel_names, load_channel, load_unloaded
from bot.lib import crypto, time_windows
from bot.lib.logs import Redactor
from bot.lib.redact import redact
from bot.lib.settings_fields import PlugSection
from bot.notifications.card import CardSettings
from bot.notifications.template_settings import TemplatesSettings
from bot.notifications.templates import CARD, PAGE, TITLE, Render, Templates
from bot.notifications.templates import NAMES as TEMPLATE_NAMES
from bot.oncall.duties import Duties
from bot.store.connections import TROUBLES, is_newest
from bot.store.engine import Store, Unavailable

if TYPE_CHECKING:
    from bot.audit.notary import Notary
    from bot.lib.metrics import Metrics

logger = logging.getLogger(__name__)

#: The id of the person at the bot's own machine.
_OPERATOR = "local"


def _migrate(store: Store) -> None:
    import_module("bot.store.migrating").migrate(store)


def open_store(
    settings: Settings,
    meters: Metrics | None = None,
    *,
    alone: bool = False,
    when_not_newest: Callable[[Store], None] = _migrate,
) -> Store:
    """Opens the database, and creates or migrates it as needed.

    `alone`: on SQLite, no other process may run a bot on it. `when_not_newest`: instead of the migration.
    """
    observe = meters.commit_seconds.observe if meters else lambda _: None
    file = settings.store.file
    new = file is not None and not is_there(file, unknown=True)
    try:
        store = Store(settings.store.url.get_secret_value(), observe=observe, scrub=Redactor(settings.confidential))
        if alone and not store.claim_alone():
            raise SystemExit(
                f"Another bot runs on {store.url.database}, and SQLite allows only one. Nothing was started."
                " Stop the other bot, or use PostgreSQL for several."
            )
        with store.connected() as connection:
            newest = is_newest(connection)
        if not newest:
            when_not_newest(store)
        if new:
            logger.info("a new database was created", extra={"file": str(file)})
    except (OSError, *TROUBLES, DatabaseError, Unavailable) as trouble:
        where = make_url(settings.store.url.get_secret_value()).render_as_string(hide_password=True)
        message = redact(str(trouble).partition("\n")[0])
        raise SystemExit(
            f"The database {where} cannot be used: {message}. Nothing was started."
            " Check store.url, that the server runs, and that this user may write there."
        ) from None
    return store


def build_notary(settings: Settings, store: Store, meters: Metrics, made: Mapping[str, Channel]) -> Notary:
    """Builds the notary, which seals and signs the audit log. `made`: the channels; one may be an anchor."""
    chat = settings.audit.anchors.chat
    # Imported here: it loads the metrics, which a command that only asks does not need.
    made_of: type[Notary] = import_module("bot.audit.notary").Notary
    return made_of(
        store,
        signer=build_signer(settings, store),
        anchors=_build_anchors(settings, made),
        seldom={"chat": timedelta(minutes=chat.every_minutes)} if chat else {},
        write=_to_stdout if settings.audit.stdout else None,
        meters=meters,
    )


def build_signer(settings: Settings, store: Store) -> Signer | None:
    """Builds the signer of the audit log. None: no key is set, and only SQLite has a key file beside the database."""
    section = settings.audit
    if section.key is not None:
        seed = crypto.seed_of(section.key.get_secret_value())
    elif store.sqlite:
        try:
            seed = crypto.seed_in(Path(store.url.database or "").with_name("vakhta-audit.key"))
        except crypto.BadKey as trouble:
            raise SystemExit(f"{trouble} Nothing was started. Set audit.key, or repair that file.") from None
    else:
        return None
    signer = _build_signer(settings, seed)
    if section.public_keys and signer.verifier_key not in section.public_keys:
        logger.error("audit.public_keys does not name the key that signs", extra={"key": signer.key_id})
    return signer


def build_previous_signer(settings: Settings) -> Signer | None:
    """Builds the signer with the previous key, for a key handover. None: `audit.previous_key` is not set."""
    key = settings.audit.previous_key
    return None if key is None else _build_signer(settings, crypto.seed_of(key.get_secret_value()))


def _build_signer(settings: Settings, seed: bytes) -> Signer:
    section = settings.audit
    public = crypto.public_key(seed)
    believed = {signed_note.key_id(name, key): key for name, key in map(signed_note.public_of, section.public_keys)}
    return Signer(
        name=section.origin,
        public=public,
        sign=partial(crypto.sign, seed),
        believed={signed_note.key_id(section.origin, public): public, **believed},
        signed_by=crypto.signed_by,
    )


def _build_anchors(settings: Settings, channels_made: Mapping[str, Channel]) -> dict[str, PutAnchor]:
    section = settings.audit.anchors
    made: dict[str, PutAnchor] = {}
    if section.file is not None:
        made["file"] = anchors.to_file(Path(section.file))
    if section.s3 is not None:
        s3 = section.s3
        retained = None if s3.retain_days is None else timedelta(days=s3.retain_days)
        made["s3"] = anchors.to_bucket(build_bucket_writer(s3), s3.bucket, s3.prefix, retained=retained)
    if section.chat is not None:
        channel = channels_made[section.chat.channel]
        assert isinstance(channel, Messenger), "the settings allow only messengers as anchors"
        made["chat"] = anchors.to_chat(channel, section.chat.to)
    return made


def build_bucket_writer(s3: S3AnchorSettings) -> Keep:
    """Builds the function that writes a locked object into that bucket. The first call loads boto3."""

    def keep(key: str, body: bytes, until: datetime | None) -> str:
        cloud = import_module("bot.integrations.aws.client")
        bucket = cloud.Bucket(name=s3.bucket, region=s3.region, endpoint_url=s3.endpoint_url)
        version: str = cloud.put_locked_object(bucket, key, body, until=until)
        return version

    return keep


def _to_stdout(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def build_channels(settings: Settings) -> dict[str, Channel]:
    """Builds every channel that is enabled in the settings. The SDKs of the others are not imported."""
    return {
        name: _class_in(load_channel(name), name)(section)
        for name in channel_names()
        if (section := settings.channels.on().get(name)) is not None
    }


def build_unloaded_channels(settings: Settings) -> dict[str, ChannelFacts]:
    """As `build_channels`, without an SDK: a channel is loaded by the first call that has to reach its platform."""
    return {
        name: _class_in(load_unloaded(name) or load_channel(name), name)(section)
        for name in channel_names()
        if (section := settings.channels.on().get(name)) is not None
    }


def build_subscriptions(made: Mapping[str, ChannelFacts]) -> list[Subscription]:
    """Builds what routing needs to know of each channel that takes messages."""
    known = channels_known()
    return [
        Subscription(
            name=one.name,
            kinds=one.kinds,
            event_types=one.event_types,
            accepts=one.accepts,
            called=known[one.name].called,
            **_health(one),
        )
        for one in made.values()
        if one.kinds
    ]


def _health(channel: ChannelFacts) -> dict[str, Callable[[], str | None]]:
    """Of a channel that is not loaded nothing is known: it does not run in this process."""
    check = getattr(channel, "health_problem", None)
    return {"health_problem": check} if check else {}


def build_people(settings: Settings) -> People:
    """Builds the directory of people. With a console and no `people`, the person at the console is the operator."""
    if settings.local_operator:
        operator = Principal(id=_OPERATOR, name=_OPERATOR, roles=frozenset({"admin"}))
        return People(persons={_OPERATOR: operator}, accounts={(CONSOLE, _OPERATOR): _OPERATOR})
    accounts: dict[tuple[str, str], str] = {}
    for person in settings.people:
        accounts |= dict.fromkeys(person.accounts.items(), person.id)
        if person.id == _OPERATOR:
            accounts[CONSOLE, _OPERATOR] = _OPERATOR
    return People(
        persons={one.id: Principal(id=one.id, name=one.name, roles=frozenset(one.roles)) for one in settings.people},
        accounts=accounts,
        groups={name: role.groups for name, role in settings.roles.items() if role.groups},
    )


def build_account_linking(settings: Settings, made: Mapping[str, ChannelFacts]) -> AccountLinking:
    """Builds the lookup from accounts to people: by the settings, by links and by a platform's groups."""
    people, known = build_people(settings), channels_known()
    typed = [f"in {one.called} it is `{one.command}link ...`" for one in known.values() if one.command != "/"]
    channels = [name for name, channel in made.items() if channel.accounts]
    return AccountLinking(people, _groups_of(made, people), places=channels, typed=typed)


def _groups_of(made: Mapping[str, ChannelFacts], people: People) -> GroupPlatform | None:
    """The platform that knows who is in the groups that give a role. Its channel is told which groups to watch."""
    for name, channel in made.items():
        if isinstance(channel, UserGroupChannel):
            channel.watch_groups(frozenset().union(*people.groups.values()))
            return GroupPlatform(channel=name, name=channels_known()[name].called, read=channel.groups_of)
    return None


def build_policy(settings: Settings, on_call: OnCallNow | None = None) -> Policy:
    """Builds the policy: roles with their rules, freezes, and who is on call, by default by the machine's clock."""
    return Policy(
        [_build_role(name, role) for name, role in settings.roles.items()],
        freezes=[
            Freeze(name=one.name, since=one.since, until=one.until, targets=one.targets, exempt=frozenset(one.exempt))
            for one in settings.freezes
        ],
        people=build_people(settings).persons.values(),
        on_call=on_call or build_duties(settings, _utc_now),
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)


def build_catalog(settings: Settings) -> Catalog:
    """Builds the service catalog: services with what people are shown of them, and teams."""
    return Catalog(
        services=tuple(
            Service(
                name=one.name,
                match=one.match,
                owner=one.owner,
                environment=one.environment,
                tier=one.tier,
                runbooks=one.runbooks,
                links=one.links,
                depends_on=one.depends_on,
            )
            for one in settings.services
        ),
        teams=tuple(Team(name=one.name, members=one.members) for one in settings.teams),
        default=settings.default_service,
    )


def flagger_tokens(settings: Settings) -> Mapping[str, Sequence[SecretStr]]:
    """The tokens of Flagger's webhooks, by cluster."""
    return {name: one.flagger.tokens for name, one in settings.clusters.items() if one.flagger is not None}


def build_alert_rules(settings: Settings) -> AlertRules:
    """Builds the rules by which alerts are classified: severities, services, times for reopening."""
    section = settings.sources.alertmanager
    severities = section.severity if section else USUAL_SEVERITIES
    return AlertRules(
        severities={value: Severity(severity) for value, severity in severities.items()},
        severity_labels=section.severity_labels if section else ("severity",),
        unknown_severity=section.unknown_severity if section else Severity.ERROR,
        catalog=build_catalog(settings),
        place_order=settings.incidents.place_order,
        templates=build_templates(settings),
        late_copy=settings.incidents.late_copy,
        reopen_within=settings.incidents.reopen_within,
        place_labels=settings.incidents.place_labels,
        course=_build_course_rules(settings.incidents.page_again, settings.incidents.flapping),
    )


def _build_course_rules(page_again: PageAgainSettings, flapping: FlappingSettings) -> CourseRules:
    return CourseRules(
        factor=page_again.factor,
        at_least=page_again.at_least,
        later=page_again.later,
        reopenings=flapping.reopenings,
        within=flapping.within,
        quiet=flapping.quiet,
    )


def build_templates(settings: Settings) -> Templates:
    """Builds the templates of services and sources. Without any, Jinja is not loaded."""
    services = {one.name: one.templates for one in settings.services if one.templates is not None}
    sources = {name: found for name, one in settings.sources.on().items() if (found := getattr(one, "templates", None))}
    return Templates(
        of_services=_compiled(services), of_sources=_compiled(sources), place_order=settings.incidents.place_order
    )


def _compiled(owners: Mapping[str, TemplatesSettings]) -> dict[tuple[str, str], Render]:
    made: dict[tuple[str, str], Render] = {}
    for name, section in owners.items():
        for part in (TITLE, CARD, PAGE):
            written = getattr(section, part)
            if written is not None:
                module = import_module("bot.lib.sandboxed_template")
                made[name, part] = module.SandboxedTemplate(written, names=TEMPLATE_NAMES).render
    return made


def build_card_settings(
    settings: Settings, account_of: Callable[[str, str], str] | None = None, duties: Duties | None = None
) -> CardSettings:
    """Builds what cards show of the settings: names, who is on call when a card is drawn, where the board is.

    `account_of`: a person's account in a channel, "" for none. It is asked only about people who are on call. Without
    it, only accounts of the settings count. `duties`: who is on call; by default, by the clock of the machine.
    """
    listed = build_people(settings)
    account = account_of or (lambda person, channel: listed.account_of(person, channel) or "")
    people = {one.id: one for one in settings.people}
    on_call = duties or build_duties(settings, _utc_now)

    def contacts(service: str | None, channel: str) -> tuple[Contact, ...]:
        called = [people[one] for one in on_call.ordered(service or "") if one in people]
        return tuple(Contact(id=one.id, name=one.name, account=account(one.id, channel)) for one in called)

    section = settings.sources.alertmanager
    return CardSettings(
        public_url=settings.server.public_url,
        names={one.id: one.name for one in settings.people},
        on_call=contacts,
        place_order=settings.incidents.place_order,
        can_silence=section is not None and section.api_url is not None,
        templates=build_templates(settings),
        catalog=build_catalog(settings),
    )


def _build_role(name: str, given: RoleSettings) -> Role:
    return Role(
        name=name,
        allow=tuple(
            Rule(do=one.do, when=_build_conditions(one.when, one.when.budget), approvals=one.approvals)
            for one in given.allow
        ),
        deny=tuple(Rule(do=one.do, when=_build_conditions(one.when)) for one in given.deny),
        break_glass=given.break_glass,
    )


def _build_conditions(given: DenyWhenSettings, budget: float | None = None) -> Conditions:
    return Conditions(
        environment=given.environment,
        service=given.service,
        severity=given.severity,
        on_call=given.on_call,
        incident=given.incident,
        during=tuple(map(time_windows.parse_window, given.during)),
        budget=budget,
    )


def _class_in(module: ModuleType, name: str) -> Callable[[PlugSection], Any]:
    """The class of that channel in the module."""
    return next(thing for thing in vars(module).values() if isinstance(thing, type) and vars(thing).get("name") == name)
