"""Builds who is on call for which service, at any time, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.config.rota_building import build_rotas
from bot.config.rotas import ROTA
from bot.config.settings import Settings
from bot.oncall.duties import Changes, Duties, OnCallFor, no_changes


def build_duties(settings: Settings, now: Callable[[], datetime], changes: Changes = no_changes) -> Duties:
    """`now`: the clock by which people are on call; `changes`: what people have changed in chats."""
    named = {one.name: on_call_for(one.on_call or ()) for one in settings.services}
    return Duties(named, build_rotas(settings.rotas), now, changes)


def on_call_for(on_call: Sequence[str]) -> OnCallFor:
    """`on_call`: as it is written, ids of people and `rota NAME`."""
    return OnCallFor(
        people=tuple(one for one in on_call if not one.startswith(ROTA)),
        rotas=tuple(one.removeprefix(ROTA) for one in on_call if one.startswith(ROTA)),
    )
