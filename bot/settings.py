"""YAML and the environment -> one frozen `Settings`, or every fault of them at once, with file and line.

Importing this file loads no SDK, and building a section opens nothing: `vakhta check` stays cheap and harmless.
Secrets are `SecretStr` from here on, so no repr, log line or error can show one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator

from bot import document, secrets
from bot.consistency import contradictions
from bot.consistency_rights import dead_ends
from bot.faults import Fault, Faulty, explain
from bot.fields import Address, HostPort, Minutes, Seconds, Secret, StoreAddress, is_loopback
from bot.model import Severity
from bot.section import Section
from bot.settings_audit import AuditSettings
from bot.settings_people import FreezeSettings, OpaSettings, PersonSettings, RoleSettings, SecuritySettings
from bot.settings_services import ClusterSettings, ServiceSettings
from bot.settings_sources import SnsSettings
from bot.settings_tools import MetricsSettings

_MIB = 1024 * 1024

#: What a severity label usually says; `sources.alertmanager.severity` adds to it or overrides it.
USUAL_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "page", "emergency", "disaster", "fatal"), Severity.CRITICAL),
    **dict.fromkeys(("error", "high", "major"), Severity.ERROR),
    **dict.fromkeys(("warning", "warn", "medium", "minor"), Severity.WARNING),
    **dict.fromkeys(("info", "low", "none", "debug"), Severity.INFO),
}


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of that file, its secrets looked up.

    Raises:
        Faulty: with every fault there is; nothing can be started from such a file.
    """
    return read(path, environ)[0]


def read(path: Path, environ: Mapping[str, str]) -> tuple[Settings, tuple[Fault, ...]]:
    """As `load`, and with it the warnings: what is allowed, and will be regretted."""
    given = document.read(path)
    referred = secrets.resolve(given, environ)
    settings = None
    try:
        settings = Settings.model_validate(given.tree)
    except ValidationError as error:
        explain(error, Settings, given)
    for loc, said in contradictions(given.tree):
        given.blame(loc, said, on_value=True)
    if given.faults or settings is None:
        raise Faulty(given.faults)
    warnings = [*secrets.in_plain_sight(settings, referred, given)]
    if settings.audit.key is None and not settings.store.url.get_secret_value().startswith("sqlite"):
        warnings.append(given.fault(("audit", "key"), _UNSIGNED))
    warnings += [given.fault(loc, said) for loc, said in dead_ends(given.tree)]
    return settings, tuple(sorted(warnings))


_UNSIGNED = (
    "is missing, so nobody signs the audit log; make one with `openssl rand -base64 32`, the same for all replicas"
)


class ServerSettings(Section):
    """The HTTP edge."""

    listen: HostPort = Field(
        "127.0.0.1:8080",
        description="host:port to serve on. Anything but loopback needs channels.console.enabled: false.",
    )
    public_url: Address = Field(
        "http://127.0.0.1:8080", description="Where people reach the board; links in messages begin with it."
    )
    api_token: Secret | None = Field(
        None, description="Bearer token of /api; without it /api answers this machine only."
    )
    drain: Seconds = Field(
        timedelta(seconds=20),
        description="Seconds that a graceful stop may take.",
        json_schema_extra={"default": 20},
    )

    @model_validator(mode="before")
    @classmethod
    def _public_where_it_listens(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("listen") and not given.get("public_url"):
            return {**given, "public_url": f"http://{given['listen']}"}
        return given

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
        description="sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
        json_schema_extra={"default": "sqlite:///var/vakhta.db"},
    )


class AlertmanagerSettings(Section):
    """Alerts from Prometheus Alertmanager's webhook."""

    tokens: tuple[Secret, ...] = Field(
        min_length=1, description="Bearer tokens that are accepted; two while you rotate from one to the other."
    )
    api_url: Address | None = Field(None, description="Alertmanager's own address, to look at alerts and silence them.")
    api_token: Secret | None = Field(None, description="Bearer token for api_url; with api_user, that user's password.")
    api_user: str | None = Field(None, min_length=1, description="User for api_url, where it asks for basic auth.")
    severity: Mapping[str, Severity] = Field(
        USUAL_SEVERITIES,
        description="Value of a severity label -> critical, error, warning or info; adds to the usual ones.",
    )
    severity_labels: tuple[str, ...] = Field(
        ("severity", "priority", "level"), description="Labels that tell the severity; the first one present counts."
    )
    max_body: int = Field(16 * _MIB, gt=0, le=256 * _MIB, description="Largest body accepted, in bytes, inflated.")

    @model_validator(mode="before")
    @classmethod
    def _usual_severities_too(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and isinstance(given.get("severity"), Mapping):
            said = {str(value).lower(): severity for value, severity in given["severity"].items()}
            return {**given, "severity": {**USUAL_SEVERITIES, **said}}
        return given


class SourcesSettings(Section):
    """Who may send alerts. A source without a section is not served."""

    alertmanager: AlertmanagerSettings | None = None
    sns: SnsSettings | None = None


class ConsoleSettings(Section):
    """The embedded chat on the board; loopback only."""

    enabled: bool = True


class SlackSettings(Section):
    """One Slack workspace and the channel where incidents are told."""

    bot_token: Secret = Field(description="xoxb-...")
    app_token: SecretStr = Field(SecretStr(""), description="xapp-...; needed in mode socket.")
    signing_secret: SecretStr = Field(SecretStr(""), description="Checks what Slack sends; needed in mode http.")
    team_id: str = Field(min_length=1, description="T...; what another workspace sends is refused.")
    channel: str = Field(min_length=1, description="C..., the channel's id, not its name.")
    hears_in: tuple[str, ...] = Field((), description="Further channels, C..., in which commands are taken.")
    api_url: Address = "https://slack.com/api/"
    mode: Literal["socket", "http"] = "socket"


class TelegramSettings(Section):
    """One Telegram bot and the group, or topic of a group, where incidents are told."""

    token: Secret = Field(description="From @BotFather, 123456:AAA...")
    chat_id: int = Field(description="-100... for a group.")
    topic_id: int | None = Field(None, description="message_thread_id of a forum topic.")
    api_url: Address = "https://api.telegram.org/bot"
    mode: Literal["polling", "webhook"] = "polling"
    secret_token: SecretStr = Field(SecretStr(""), description="Checks what Telegram sends; needed in mode webhook.")
    webhook_url: Address | None = Field(
        None, description="Where Telegram reaches us in mode webhook; without it, server.public_url + /in/telegram."
    )


class PagerDutySettings(Section):
    """One PagerDuty service: pages out by Events v2, what people do there in by webhooks v3."""

    routing_key: Secret = Field(description="Integration key (Events API v2) of the service.")
    api_token: Secret | None = Field(None, description="REST API token, to look incidents up.")
    webhook_secrets: tuple[Secret, ...] = Field((), description="Signing secrets of the webhook; two while you rotate.")
    events_url: Address = "https://events.pagerduty.com"
    api_url: Address = "https://api.pagerduty.com"
    severities: tuple[Severity, ...] = Field(tuple(Severity), description="Which severities page somebody.")


class ChannelsSettings(Section):
    """Where people are told, and speak back. A channel without a section is not loaded."""

    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    slack: SlackSettings | None = None
    telegram: TelegramSettings | None = None
    pagerduty: PagerDutySettings | None = None


class IncidentsSettings(Section):
    """How alerts become incidents."""

    reopen_within: Minutes = Field(
        timedelta(minutes=60),
        description="Minutes after its end in which the same group reopens an incident.",
        json_schema_extra={"default": 60},
    )
    late_copy: Minutes = Field(
        timedelta(minutes=5),
        description="Minutes in which a firing copy of an ended alert is a late copy, not news.",
        json_schema_extra={"default": 5},
    )


class Settings(Section):
    """All of it. Every section has a default: an empty file is a bot with a console, and nobody to alert it."""

    server: ServerSettings = Field(default_factory=ServerSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    sources: SourcesSettings = Field(default_factory=SourcesSettings)
    channels: ChannelsSettings = Field(default_factory=ChannelsSettings)
    incidents: IncidentsSettings = Field(default_factory=IncidentsSettings)
    metrics: MetricsSettings | None = None
    audit: AuditSettings = Field(default_factory=AuditSettings)
    people: tuple[PersonSettings, ...] = ()
    roles: Mapping[str, RoleSettings] = Field(default_factory=dict)
    services: tuple[ServiceSettings, ...] = ()
    clusters: Mapping[str, ClusterSettings] = Field(default_factory=dict)
    freezes: tuple[FreezeSettings, ...] = ()
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    opa: OpaSettings | None = None

    @model_validator(mode="after")
    def _webhooks_where_people_reach_us(self) -> Self:
        telegram = self.channels.telegram
        if telegram is None or telegram.webhook_url is not None:
            return self
        reached = telegram.model_copy(update={"webhook_url": f"{self.server.public_url.rstrip('/')}/in/telegram"})
        return self.model_copy(update={"channels": self.channels.model_copy(update={"telegram": reached})})

    @property
    def local_operator(self) -> bool:
        """Whether the person at the keyboard is the operator `local`: a console, and nobody under `people`."""
        return self.channels.console.enabled and not self.people

    @property
    def confidential(self) -> frozenset[str]:
        """Every secret that is configured, for the log to leave out."""
        held = {secret.get_secret_value() for _, secret in secrets.held_by(self)}
        passwords = {urlsplit(value).password or "" for value in held if "://" in value}
        return frozenset((held | passwords) - {""})
