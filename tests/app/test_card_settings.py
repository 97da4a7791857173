"""What the settings give to cards: who is on call for a service, with their accounts."""

from __future__ import annotations

from bot.app.build import build_card_settings
from bot.app.build_rotas import build_duties
from bot.config.settings import Settings
from bot.core.message import Contact
from bot.notifications.card import CardSettings
from tests.house import Clock

SETTINGS = Settings.model_validate(
    {
        "sources": {"alertmanager": {"tokens": ["0123456789abcdef"]}},
        "people": [
            {"id": "ana", "name": "Ana", "slack": "U1"},
            {"id": "bo", "name": "Bo"},
        ],
        "services": [
            {"name": "prod/api", "match": {"a": "b"}, "on_call": ["ana", "bo"]},
            {"name": "prod/db", "match": {"a": "c"}},
        ],
    }
)
ANA, BO = Contact(id="ana", name="Ana", account="U1"), Contact(id="bo", name="Bo")


def test_whoever_is_on_call_for_a_service_comes_with_the_account_of_that_channel() -> None:
    cards = build_card_settings(SETTINGS)

    assert cards.on_call("prod/api", "slack") == (ANA, BO)
    assert cards.on_call("prod/api", "telegram") == (Contact(id="ana", name="Ana"), BO)


def test_a_linked_account_counts_and_is_asked_for_only_where_somebody_is_on_call() -> None:
    asked: list[tuple[str, str]] = []

    def account_of(person: str, channel: str) -> str:
        asked.append((person, channel))
        return f"{person}@{channel}"

    cards: CardSettings = build_card_settings(SETTINGS, account_of)

    assert [cards.on_call(one, "slack") for one in ("prod/db", "unknown", None)] == [(), (), ()]
    assert asked == []
    assert [one.account for one in cards.on_call("prod/api", "slack")] == ["ana@slack", "bo@slack"]


def test_who_is_on_call_by_a_rota_is_asked_when_a_card_is_drawn() -> None:
    written = {
        "people": [{"id": "ana", "name": "Ana"}, {"id": "bo", "name": "Bo"}, {"id": "cy", "name": "Cy"}],
        "services": [{"name": "prod/api", "match": {"a": "b"}, "on_call": ["cy", "rota weekly"]}],
        "rotas": {
            "weekly": {
                "zone": "UTC",
                "layers": [
                    {"name": "w", "members": ["bo", "ana"], "turn": {"unit": "week"}, "anchor": "2026-11-02"},
                ],
            }
        },
    }
    clock = Clock()
    settings = Settings.model_validate(written)
    cards = build_card_settings(settings, duties=build_duties(settings, clock))

    def named() -> list[str]:
        return [one.name for one in cards.on_call("prod/api", "slack")]

    assert named() == ["Cy", "Ana"]
    clock.pass_by(days=7)
    assert named() == ["Cy", "Bo"]
