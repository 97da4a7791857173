"""What the settings say, as the values and parts that the house is built of."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from bot import channels
from bot.catalog import Service
from bot.meters import Meters
from bot.model import Principal, Severity
from bot.owing import Mouth
from bot.ports import Channel
from bot.redact import redact
from bot.rules import Rules
from bot.settings import Settings
from bot.store import migrating
from bot.store.engine import Store, Unavailable
from bot.store.opening import TROUBLES


def open_store(settings: Settings, meters: Meters | None = None, *, alone: bool = False) -> Store:
    """`alone`: on SQLite, no other process may run a bot on it."""
    observe = meters.commit_seconds.observe if meters else lambda _: None
    try:
        store = Store(settings.store.url.get_secret_value(), observe=observe)
        if alone and not store.claim_alone():
            raise SystemExit(
                f"Another bot runs on {store.url.database}, and SQLite is for one at a time. Nothing was started."
                " Stop that one, or use PostgreSQL for several."
            )
        migrating.migrate(store)
    except (OSError, *TROUBLES, DatabaseError, Unavailable) as trouble:
        where = make_url(settings.store.url.get_secret_value()).render_as_string(hide_password=True)
        said = redact(str(trouble).partition("\n")[0])
        raise SystemExit(
            f"The database {where} cannot be used: {said}. Nothing was started."
            " Check store.url, that the server runs, and that this user may write there."
        ) from None
    return store


def load_channels(settings: Settings) -> dict[str, Channel]:
    """Every channel that the settings have a section for; the others' SDKs are not even imported."""
    made: dict[str, Channel] = {}
    for name in channels.names():
        section = getattr(settings.channels, name, None)
        if section is None or not getattr(section, "enabled", True):
            continue
        kind = next(
            thing
            for thing in vars(channels.load(name)).values()
            if isinstance(thing, type) and _is_channel(thing, name)
        )
        made[name] = kind(section)
    return made


def mouths_of(made: dict[str, Channel]) -> list[Mouth]:
    """What `owing` has to know of each."""
    return [
        Mouth(name=one.name, kinds=one.kinds, wants=one.wants, takes=one.takes) for one in made.values() if one.kinds
    ]


def accounts(settings: Settings) -> dict[tuple[str, str], Principal]:
    """(place, account there) -> person. At a console without `people`, whoever sits there is the operator."""
    if settings.local_operator:
        return {("console", "local"): Principal(id="local", name="local", roles=frozenset({"operator"}))}
    found: dict[tuple[str, str], Principal] = {}
    for person in settings.people:
        who = Principal(id=person.id, name=person.name, roles=frozenset(person.roles))
        for place in ("slack", "telegram", "pagerduty"):
            account = getattr(person, place)
            if account is not None:
                found[place, str(account)] = who
        if person.id == "local":
            found["console", "local"] = who
    return found


def rules_of(settings: Settings) -> Rules:
    """What the settings say about alerts."""
    section = settings.sources.alertmanager
    said = section.severity if section else {}
    return Rules(
        severities={value: Severity(severity) for value, severity in said.items()},
        severity_labels=section.severity_labels if section else (),
        services=tuple(Service(name=one.name, match=one.match, owner=one.owner) for one in settings.services),
        late_copy=settings.incidents.late_copy,
        reopen_within=settings.incidents.reopen_within,
    )


def _is_channel(thing: type, name: str) -> bool:
    return vars(thing).get("name") == name
