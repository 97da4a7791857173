"""Who may send alerts, as the settings want it: by a token, or by the signature on each message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module

from bot import sources
from bot.integrations.sns.settings import SnsSettings
from bot.ports import Proof, Source
from bot.settings import Settings
from bot.web import alerts
from bot.web.alerts import Alarm, Keep, Take
from bot.web.proofs import Proofs

_CERTIFICATE_WITHIN = timedelta(seconds=4)
_MOST_CERTIFICATE = 64 * 1024  # Bytes.


def intake_of(settings: Settings, *, take: Take, keep: Keep, alarm: Alarm) -> alerts.Intake:
    """The door for alerts. A source without a section, or that names nobody in it, has no address."""
    section = settings.sources.alertmanager
    tokens = {
        name: [alerts.fingerprint(token) for token in getattr(one, "tokens", ())]
        for name, one in settings.sources.on().items()
    }
    senders: dict[str, Source] = {name: kind(_now) for name, kind in sources.find().items() if tokens.get(name)}
    proofs: dict[str, Proof] = {}
    sns = settings.sources.sns
    if sns is not None and sns.topics:
        senders["sns"] = import_module("bot.sources.sns").Sns(_now, topics=sns.topics, severity=sns.severity)
        proofs["sns"] = _topics(sns)
    return alerts.Intake(
        senders,
        tokens,
        take=take,
        keep=keep,
        alarm=alarm,
        limits=alerts.Limits(body=section.max_body, inflated=section.max_body) if section else None,
        proofs=Proofs(proofs),
    )


def _topics(section: SnsSettings) -> Proof:
    """boto3 is loaded at the start, and not while a topic waits for its confirmation."""
    confirm: Callable[[str, str], str] = import_module("bot.tools.cloud").confirm
    certificates = import_module("bot.tools.certificates").Certificates(_certificate_at)
    made: Proof = import_module("bot.tools.topics").Topics(
        section.topics, certificates=certificates, confirm=confirm, now=_now
    )
    return made


def _certificate_at(address: str) -> bytes:
    """Raises `Rejected`."""
    api = import_module("bot.tools.http").Api
    fetched: bytes = api(address, called="Amazon SNS", timeout=_CERTIFICATE_WITHIN, most=_MOST_CERTIFICATE).fetch()
    return fetched


def _now() -> datetime:
    return datetime.now(UTC)
