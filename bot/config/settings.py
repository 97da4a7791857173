"""Reads YAML and the environment into one frozen `Settings`, or lists every fault at once, with file and line.

Importing this file loads no SDK, and building a section opens nothing: `vakhta check` stays cheap and harmless.
Secrets are `SecretStr` from here on, so no repr, log line or error can show one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator

from bot.config import backups, catalog, mistakes, paths, rota_faults, rules, secrets, yaml_reader
from bot.config.access import FreezeSettings, PersonSettings, RoleSettings, SecuritySettings
from bot.config.audit import AuditSettings
from bot.config.backups import BackupsSettings
from bot.config.consistency import Declared, contradictions, entries, section_of, unusable_rules
from bot.config.faults import InvalidSettings, Loc, Plain, SettingsFault, add_validation_faults
from bot.config.incidents import FlappingSettings, PageAgainSettings
from bot.config.rotas import RotaName, RotaSettings
from bot.config.services import ServiceSettings, TeamSettings
from bot.incidents.transitions import PLACE_LABELS
from bot.integrations.alertmanager.settings import AlertmanagerSettings
from bot.integrations.console.settings import ConsoleSettings
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.integrations.opa.settings import OpaSettings
from bot.integrations.pagerduty.settings import PagerDutySettings
from bot.integrations.prometheus.settings import MetricsSettings
from bot.integrations.slack.settings import SlackSettings
from bot.integrations.sns.settings import SnsSettings
from bot.integrations.telegram.settings import TelegramSettings, number_of, webhook_fault
from bot.lib.settings_fields import (
    Address,
    ChannelSection,
    HostPort,
    Minutes,
    Mistake,
    PlugSection,
    Seconds,
    Secret,
    Section,
    StoreAddress,
    is_host_and_port,
    is_loopback,
    path_mistake,
    plugs_in,
    text_of,
)
from bot.notifications.places import PLACE_ORDER


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of that file, with its secrets resolved.

    Raises:
        InvalidSettings: with every fault; nothing can be started from such a file.
    """
    return read_settings(path, environ)[0]


def read_settings(
    path: Path, environ: Mapping[str, str], *, files_too: bool = False, now: datetime | None = None
) -> tuple[Settings, tuple[SettingsFault, ...]]:
    """As `load_settings`, with the warnings: settings that are valid but risky.

    `files_too`: a file that the settings name and that cannot be used here is a fault instead of a warning. `now`: also
    warn of times soon in which nobody is on call.
    """
    given = yaml_reader.read_document(path)
    referred = secrets.resolve_references(given, environ)
    settings = None
    for loc, message in mistakes.mistakes(given.tree, Settings):  # First: they say more than pydantic does.
        given.add_fault(loc, message, on_value=True)
    try:
        settings = Settings.model_validate(given.tree)
    except ValidationError as error:
        add_validation_faults(error, Settings, given)
    missing = list(mistakes.missing_here(given.tree, Settings, path.absolute().parent))
    for loc, message in [*_certain_faults(given.tree), *(missing if files_too else ())]:
        given.add_fault(loc, message, on_value=True)
    if settings is None:
        raise InvalidSettings(given.faults)
    plain_text = [*secrets.plain_text_secrets(settings, referred, given)]
    settings, relative = paths.resolve_paths(settings, path.absolute().parent)
    warnings = [*plain_text, *paths.left_behind(relative, given)]
    if given.faults:
        raise InvalidSettings(given.faults)
    if settings.audit.key is None and not settings.store.url.get_secret_value().startswith("sqlite"):
        warnings.append(given.fault(("audit", "key"), _UNSIGNED))
    gaps = [] if now is None else rota_faults.coming_gaps(given.tree, now)
    warnings += [given.fault(loc, message, on_value=True) for loc, message in [*_doubts(given.tree), *missing, *gaps]]
    return settings, tuple(sorted(warnings))


def _certain_faults(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    verbs = rules.known_verbs()
    yield from rules.unknown_verbs(tree, verbs)
    yield from rules.freezes_with_verbs(tree, verbs)
    yield from contradictions(tree, _declared())
    yield from backups.contradictions(tree)
    yield from rota_faults.contradictions(tree)
    yield from catalog.contradictions(tree)


def _doubts(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    yield from unusable_rules(tree, _declared())
    yield from rules.unknown_services(tree)
    yield from catalog.doubts(tree, PersonSettings.account_keys())
    yield from mistakes.doubts(tree, Settings)


_UNSIGNED = (
    "is missing, so the audit log is not signed; make one with `openssl rand -base64 32`, the same for all replicas"
)


_LOOPBACK = "127.0.0.1:8080"


class ServerSettings(Section):
    """The HTTP server."""

    listen: HostPort = Field(
        _LOOPBACK,
        description="host:port to listen on. An address other than loopback requires channels.console.enabled: false.",
    )
    public_url: Address = Field(
        "http://127.0.0.1:8080", description="Address at which people reach the board; links in messages begin with it."
    )
    api_token: Secret | None = Field(
        None, description="Bearer token for /api; without it, /api answers only this machine."
    )
    drain: Seconds = Field(
        timedelta(seconds=20),
        description="Maximum seconds for a graceful stop.",
        json_schema_extra={"default": 20},
    )

    @model_validator(mode="before")
    @classmethod
    def _public_url_from_listen(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and not given.get("public_url") and is_host_and_port(given.get("listen")):
            return {**given, "public_url": f"http://{given['listen']}"}
        return given

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        received = ("/in/slack", "/in/telegram", "/in/pagerduty", "/alerts/alertmanager")
        yield from path_mistake(given, "public_url", *received)
        if "?" in text_of(given, "public_url"):
            yield ("public_url",), "must be the address alone; leave out ? and what follows it"

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        return is_loopback(self.listen)


class StoreSettings(Section):
    """The database. The URL may hold a password, so it is a secret as a whole."""

    url: StoreAddress = Field(
        SecretStr("sqlite:///var/vakhta.db"),
        description="sqlite:///FILE (a relative FILE is relative to the settings file),"
        " or postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
        json_schema_extra={"default": "sqlite:///var/vakhta.db"},
    )

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a server."""
        kind, _, rest = self.url.get_secret_value().partition(":///")
        return Path(rest.partition("?")[0]) if kind == "sqlite" else None


class _Plugs(Section):
    """Sections of sources or channels, by name."""

    def on(self) -> dict[str, PlugSection]:
        """The sections that are present and enabled, by name."""
        given = {name: getattr(self, name) for name in plugs_in(type(self))}
        return {name: section for name, section in given.items() if section is not None and section.on}


class SourcesSettings(_Plugs):
    """Which sources may send alerts. A source without a section is not served."""

    alertmanager: AlertmanagerSettings | None = None
    sns: SnsSettings | None = None


class ChannelsSettings(_Plugs):
    """Where people are notified and give commands. A channel without a section is not loaded."""

    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    slack: SlackSettings | None = None
    telegram: TelegramSettings | None = None
    pagerduty: PagerDutySettings | None = None


def channels_known() -> dict[str, type[ChannelSection]]:
    """The section classes of all channels, by channel name."""
    return {name: kind for name, kind in plugs_in(ChannelsSettings).items() if issubclass(kind, ChannelSection)}


def _declared() -> Declared:
    return Declared(
        sources=frozenset(plugs_in(SourcesSettings)),
        channels=channels_known(),
        account_keys=PersonSettings.account_keys(),
        group_keys=RoleSettings.group_keys(),
    )


class IncidentsSettings(Section):
    """How alerts become incidents."""

    reopen_within: Minutes = Field(
        timedelta(minutes=60),
        description="Minutes after its end within which the same alert group reopens an incident.",
        json_schema_extra={"default": 60},
    )
    late_copy: Minutes = Field(
        timedelta(minutes=5),
        description="Minutes within which a firing copy of an ended alert counts as a late copy, not as a new alert.",
        json_schema_extra={"default": 5},
    )

    unheard_after: Minutes = Field(
        timedelta(minutes=30),
        description="Minutes after which an alert has ended that its source leaves out since it said that the group"
        " has ended. With sources.alertmanager.api_url Alertmanager is asked instead.",
        json_schema_extra={"default": 30},
    )

    place_order: tuple[str, ...] = Field(
        PLACE_ORDER,
        min_length=1,
        description="Labels that say where an alert fires, from the widest place to the narrowest; titles and cards"
        " show them.",
        json_schema_extra={"default": list(PLACE_ORDER)},
    )

    place_labels: tuple[str, ...] = Field(
        PLACE_LABELS,
        description="An acknowledged incident pages again when an alert with other values of these labels fires.",
        json_schema_extra={"default": list(PLACE_LABELS)},
    )
    page_again: PageAgainSettings = Field(default_factory=PageAgainSettings)
    flapping: FlappingSettings = Field(default_factory=FlappingSettings)


class Settings(Section):
    """All settings. Every section has a default: an empty file gives a bot with a console and no alert source."""

    server: ServerSettings = Field(default_factory=ServerSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    sources: SourcesSettings = Field(default_factory=SourcesSettings)
    channels: ChannelsSettings = Field(default_factory=ChannelsSettings)
    incidents: IncidentsSettings = Field(default_factory=IncidentsSettings)
    metrics: MetricsSettings | None = None
    audit: AuditSettings = Field(default_factory=AuditSettings)
    people: tuple[PersonSettings, ...] = ()
    roles: Mapping[str, RoleSettings] = Field(default_factory=dict)
    teams: tuple[TeamSettings, ...] = ()
    services: tuple[ServiceSettings, ...] = ()
    default_service: str | None = Field(
        None, min_length=1, description="The service, by its name under `services`, of alerts that match none."
    )
    rotas: Mapping[RotaName, RotaSettings] = Field(default_factory=dict)
    clusters: Mapping[str, ClusterSettings] = Field(default_factory=dict)
    backups: BackupsSettings = Field(default_factory=BackupsSettings)
    freezes: tuple[FreezeSettings, ...] = ()
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    opa: OpaSettings | None = None

    @model_validator(mode="after")
    def _telegram_webhook_at_public_url(self) -> Self:
        telegram = self.channels.telegram
        if telegram is None or telegram.webhook_url is not None:
            return self
        reached = telegram.model_copy(update={"webhook_url": f"{self.server.public_url.rstrip('/')}/in/telegram"})
        return self.model_copy(update={"channels": self.channels.model_copy(update={"telegram": reached})})

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        server, telegram = section_of(given, "server"), section_of(section_of(given, "channels"), "telegram")
        public = server.get("public_url") or f"http://{server.get('listen') or _LOOPBACK}"
        by_default = telegram.get("mode") == "webhook" and not telegram.get("webhook_url")
        if by_default and not telegram.get("api_url") and isinstance(public, str) and webhook_fault(public):
            message = "is missing; Telegram sends only to https:// on port 443, 80, 88 or 8443, and server.public_url"
            yield ("channels", "telegram", "webhook_url"), f"{message} is no such address"

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        chat = number_of(section_of(section_of(given, "channels"), "telegram").get("chat_id"))
        accounts = {number_of(person.get("telegram")) for _, person in entries(given, "people")}
        if chat is not None and chat > 0 and chat not in accounts:
            message = "is a private chat with one person, as it has no minus sign; a group's id is -100..."
            yield ("channels", "telegram", "chat_id"), f"{message} (no warning where it is somebody's under `people`)"
        for loc, service in entries(given, "services"):
            if service.get("cluster") and not given.get("clusters"):
                yield (*loc, "cluster"), "names a cluster, and there is no section `clusters`; no action can reach it"

    @property
    def local_operator(self) -> bool:
        """Whether the person at the keyboard is the operator `local`: a console, and nobody under `people`."""
        return self.channels.console.enabled and not self.people

    @property
    def confidential(self) -> frozenset[str]:
        """Every configured secret, so that the log can redact them."""
        held = {secret.get_secret_value() for _, secret in secrets.held_by(self)}
        passwords = {urlsplit(value).password or "" for value in held if "://" in value}
        return frozenset((held | passwords) - {""})
