"""Builds the HTTP endpoint for alerts: which sources may send, by a token or by a signature on each message."""

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
    settings: Settings, *, submit: Submit, quarantine: Quarantine, on_refused: OnRefused
) -> alerts.AlertsEndpoint:
    """Builds the endpoint. A source without a section, or without a token or topic in it, has no address."""
    section = settings.sources.alertmanager
    tokens = {
        name: [alerts.token_digest(token) for token in getattr(one, "tokens", ())]
        for name, one in settings.sources.on().items()
    }
    verifiers: dict[str, SenderVerifier] = {}
    sns = settings.sources.sns
    if sns is not None and sns.topics:
        verifiers["sns"] = _build_sns_verifier(sns)
    return alerts.AlertsEndpoint(
        build_sources(settings),
        tokens,
        submit=submit,
        quarantine=quarantine,
        on_refused=on_refused,
        limits=alerts.BodyLimits(body=section.max_body, inflated=section.max_body) if section else None,
        verifiers=SenderVerification(verifiers),
    )


def build_sources(settings: Settings) -> dict[str, Source]:
    """Builds the sources that may send: those with a section, and a token or topic in it."""
    sections = settings.sources.on()
    sources: dict[str, Source] = {
        name: kind(_now) for name, kind in find_sources().items() if getattr(sections.get(name), "tokens", ())
    }
    sns = settings.sources.sns
    if sns is not None and sns.topics:
        made = import_module("bot.integrations.sns.source").SnsSource
        sources["sns"] = made(_now, topics=sns.topics, severity=sns.severity)
    return sources


def _build_sns_verifier(section: SnsSettings) -> SenderVerifier:
    """Builds the check of SNS signatures. Loads boto3 now, not while a topic waits for its confirmation."""
    confirm: Callable[[str, str], str] = import_module("bot.integrations.aws.client").confirm_subscription
    certificates = import_module("bot.integrations.sns.certificates").CertificateCache(_fetch_certificate)
    verifier: SenderVerifier = import_module("bot.integrations.sns.verification").SnsVerification(
        section.topics, certificates=certificates, confirm=confirm, now=_now
    )
    return verifier


def _fetch_certificate(address: str) -> bytes:
    """Raises `Rejected` when it cannot be fetched."""
    api = import_module("bot.integrations.http").HttpApi
    fetched: bytes = api(address, called="Amazon SNS", timeout=_CERTIFICATE_WITHIN, most=_MOST_CERTIFICATE).download()
    return fetched


def _now() -> datetime:
    return datetime.now(UTC)
