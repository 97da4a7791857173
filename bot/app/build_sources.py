"""Who may send alerts, as the settings want it: by a token, or by the signature on each message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module

from bot.config.settings import Settings
from bot.core.source import SenderVerifier, Source
from bot.integrations import find_sources
from bot.integrations.sns.settings import SnsSettings
from bot.web import alerts
from bot.web.alerts import OnRefused, Quarantine, Submit
from bot.web.sender_verification import SenderVerification

_CERTIFICATE_WITHIN = timedelta(seconds=4)
_MOST_CERTIFICATE = 64 * 1024  # Bytes.


def build_alerts_endpoint(
    settings: Settings, *, take: Submit, keep: Quarantine, alarm: OnRefused
) -> alerts.AlertsEndpoint:
    """The door for alerts. A source without a section, or that names nobody in it, has no address."""
    section = settings.sources.alertmanager
    tokens = {
        name: [alerts.token_digest(token) for token in getattr(one, "tokens", ())]
        for name, one in settings.sources.on().items()
    }
    senders: dict[str, Source] = {name: kind(_now) for name, kind in find_sources().items() if tokens.get(name)}
    proofs: dict[str, SenderVerifier] = {}
    sns = settings.sources.sns
    if sns is not None and sns.topics:
        senders["sns"] = import_module("bot.integrations.sns.source").SnsSource(
            _now, topics=sns.topics, severity=sns.severity
        )
        proofs["sns"] = _topics(sns)
    return alerts.AlertsEndpoint(
        senders,
        tokens,
        submit=take,
        quarantine=keep,
        on_refused=alarm,
        limits=alerts.BodyLimits(body=section.max_body, inflated=section.max_body) if section else None,
        verifiers=SenderVerification(proofs),
    )


def _topics(section: SnsSettings) -> SenderVerifier:
    """boto3 is loaded at the start, and not while a topic waits for its confirmation."""
    confirm: Callable[[str, str], str] = import_module("bot.integrations.aws.client").confirm_subscription
    certificates = import_module("bot.integrations.sns.certificates").CertificateCache(_certificate_at)
    made: SenderVerifier = import_module("bot.integrations.sns.verification").SnsVerification(
        section.topics, certificates=certificates, confirm=confirm, now=_now
    )
    return made


def _certificate_at(address: str) -> bytes:
    """Raises `Rejected`."""
    api = import_module("bot.integrations.http").HttpApi
    fetched: bytes = api(address, called="Amazon SNS", timeout=_CERTIFICATE_WITHIN, most=_MOST_CERTIFICATE).fetch()
    return fetched


def _now() -> datetime:
    return datetime.now(UTC)
