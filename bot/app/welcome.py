"""The text printed at startup: the addresses, and a command that opens a first incident."""

from __future__ import annotations

from bot.config.settings import Settings

_JSON = "-H 'Content-Type: application/json'"
_FIRST = (
    """{"version":"4","groupKey":"{}:{alertname=\\"Hello\\"}","status":"firing","alerts":[{"status":"firing","""
    """"labels":{"alertname":"Hello","severity":"critical"},"annotations":{"summary":"a first test alert"},"""
    """"startsAt":"'"$(date -u +%FT%TZ)"'"}]}"""
)


def welcome(url: str, settings: Settings) -> str:
    """Plain lines for a terminal. The token is shown only where just this machine can reach the port."""
    lines = [f"Vakhta is running. Board: {url}/  API: {url}/api/docs"]
    section = settings.sources.alertmanager
    if section:
        token = section.tokens[0].get_secret_value() if settings.local_operator else "$TOKEN"
        lines += [
            "Open a first incident:",
            f"curl -sS {url}/alerts/alertmanager -H 'Authorization: Bearer {token}' {_JSON} -d '{_FIRST}'",
        ]
    return "\n".join(lines) + "\n"
