"""Builds an incident's card, independent of any platform: the channel arranges, escapes and cuts it. Pure.

The reader was asleep a minute ago. The title says what and where; then come how bad it is and who has it, what the
sender says, the labels, the alerts by what tells them apart, and what can be done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.core import run_state
from bot.core.alert import AlertView
from bot.core.catalog import Catalog, Service
from bot.core.incident import CONSOLE, Incident, Status
from bot.core.message import AlertSummary, Card, Contact, Situation
from bot.core.run_state import RunStatus
from bot.lib.open_links import can_open
from bot.lib.text import spell_list, spell_moment
from bot.notifications.alert_texts import description_of, links_of, name_of, summary_of, value_of
from bot.notifications.places import PLACE_ORDER, key_labels, telling, where
from bot.notifications.templates import CARD, PAGE, AlertFacts, Templates

_SHOWN = 5  #: alerts on the card; `show` has all
_DESCRIPTION, _SUMMARY = 1200, 500  #: characters
_RUNBOOKS, _LINKS = 2, 3  #: of a service, beside those of the alert
_SUMMARY_BEGINS = 12  #: characters of a summary by which it is found in a title
_SILENCED = ("alertname", "cluster", "namespace", "service")  #: labels that a silence from the card names


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    """What a card takes from the settings. `on_call` gets a service and a channel."""

    public_url: str = ""
    names: Mapping[str, str] = field(default_factory=dict)  #: person's id -> name
    on_call: Callable[[str | None, str], tuple[Contact, ...]] = lambda _service, _channel: ()
    place_order: Sequence[str] = PLACE_ORDER
    can_silence: bool = False
    templates: Templates = field(default_factory=Templates)
    catalog: Catalog = field(default_factory=Catalog)


def incident_card(
    incident: Incident,
    settings: CardSettings,
    *,
    channel: str = "",
    alerts: Sequence[AlertView] = (),
    runs: Sequence[RunStatus] = (),
) -> Card:
    """The latest state, with the buttons that apply to it.

    `alerts`: the incident's, firing ones first; `runs`: the runs of actions that belong to it.
    """
    known = lead_first(alerts, incident)
    situation = _situation(incident, settings, channel, known, runs)
    return Card(
        title=f"#{incident.id} {incident.title}",
        lines=tuple(_lines(incident, situation)),
        buttons=_buttons(incident, known, can_silence=settings.can_silence),
        primary="Acknowledge",
        confirm=_confirm(incident),
        spare=frozenset({"Silence 2h"}),
        severity=incident.severity,
        status=incident.status,
        link=_link(incident, settings, channel),
        situation=situation,
    )


def lead_first(alerts: Sequence[AlertView], incident: Incident) -> list[AlertView]:
    """The alert that names the incident first, the others in their order."""
    named = incident.lead.rpartition("|")[2]
    return sorted(alerts, key=lambda one: (not one.firing, one.fingerprint != named))


def _situation(
    incident: Incident, settings: CardSettings, channel: str, alerts: Sequence[AlertView], runs: Sequence[RunStatus]
) -> Situation:
    shown = [one for one in alerts if one.firing] or list(alerts)
    lead = shown[0] if shown else None
    told = telling([one.labels for one in shown], settings.place_order)
    on_call = settings.on_call(incident.service, channel) if incident.status is not Status.RESOLVED else ()
    covered = incident.course.covered
    known_service = settings.catalog.service(incident.service)
    rows = [_summary(one, text, settings.place_order) for one, text in zip(shown, told.each, strict=True)]
    several = len({one.fingerprint for one in shown}) > 1 and incident.status is not Status.RESOLVED
    return Situation(
        headword=_headword(incident),
        holder=holder(incident, settings.names, on_call),
        summary=_summary_in_title(incident, lead),
        since=min((one.starts_at for one in shown), default=incident.opened_at),
        acknowledged_at=covered.at if covered and incident.status is Status.ACKED and not covered.paged else None,
        resolved_at=incident.resolved_at,
        count="" if incident.is_flapping else incident.count_words,
        description=_description(incident, lead, settings) if lead else "",
        facts=_facts(incident, known_service, key_labels(told.common, settings.place_order), lead),
        alerts=tuple(rows[:_SHOWN]) if several else (),
        more=max(0, max(incident.firing, len(shown)) - _SHOWN) if several else 0,
        links=_links(lead, known_service),
        owner=(known_service.owner or "") if known_service else "",
        on_call=on_call,
        notes=tuple(_notes(incident, lead, runs)),
    )


def _link(incident: Incident, settings: CardSettings, channel: str) -> str:
    """The incident on the board. Whoever reads the console sits at the bot's own machine and can open any address."""
    board = f"{settings.public_url.rstrip('/')}/incidents/{incident.id}?mark={incident.mark}"
    return board if channel == CONSOLE or can_open(board) else ""


def _summary_in_title(incident: Incident, lead: AlertView | None) -> str:
    """The summary of the alert that names the incident, if its title has it; the title may be cut."""
    summary = summary_of(lead.notes) if lead else ""
    return summary if f": {summary[:_SUMMARY_BEGINS]}" in incident.title else ""


def _description(incident: Incident, lead: AlertView, settings: CardSettings) -> str:
    written = settings.templates.text(CARD, _facts_of(incident, lead), _DESCRIPTION)
    return written or description_of(lead.notes, incident.title)[:_DESCRIPTION]


def page_summary(incident: Incident, alerts: Sequence[AlertView], settings: CardSettings) -> str:
    """What a page says: by the template of its service or source, else the incident's title."""
    written = settings.templates.text(PAGE, _facts_of(incident, alerts[0]), _SUMMARY) if alerts else None
    return " ".join(written.split()) if written else incident.title


def _facts_of(incident: Incident, alert: AlertView) -> AlertFacts:
    return AlertFacts(
        labels=alert.labels,
        annotations=alert.notes,
        source=alert.source,
        group=incident.key,
        severity=incident.severity,
        service=incident.service,
    )


def _summary(alert: AlertView, told: str, order: Sequence[str]) -> AlertSummary:
    text = told or where(alert.labels, order) or name_of(alert.labels)
    return AlertSummary(text=text, firing=alert.firing, since=alert.starts_at, value=value_of(alert.notes))


def _facts(
    incident: Incident, known: Service | None, labels: Mapping[str, str], lead: AlertView | None
) -> dict[str, str]:
    """The service of the settings first, and whose it is: people know it by that name.

    One of a label may be the exporter's.
    """
    service, said = incident.service, dict[str, str]()
    if service and service not in labels.values() and not (lead and lead.labels.get("service") == service):
        said["service"] = service
    if known and known.owner:
        said["owner"] = known.owner
    return said | {name: value for name, value in labels.items() if name not in said}


def _links(lead: AlertView | None, known: Service | None) -> dict[str, str]:
    """Of the alert, then of its service: its runbooks and links, each address once."""
    found = links_of(lead.labels, lead.notes, lead.link) if lead else {}
    if known is None:
        return found
    runbooks = [url for url in known.runbooks if can_open(url)][:_RUNBOOKS]
    named = [("Runbook" if "Runbook" not in found else "Service runbook", url) for url in runbooks]
    for label, url in [*named, *list(known.links.items())[:_LINKS]]:
        if url not in found.values() and can_open(url):
            found[_free(label, found)] = url
    return found


def _free(label: str, taken: Collection[str]) -> str:
    """The label, with a number where it is taken."""
    return next(one for one in (label, *(f"{label} {n}" for n in range(2, len(taken) + 3))) if one not in taken)


def _notes(incident: Incident, lead: AlertView | None, runs: Sequence[RunStatus]) -> Iterator[str]:
    if lead and value_of(lead.notes) and incident.firing <= 1:
        yield f"Value: {value_of(lead.notes)}"
    if incident.status is Status.ACKED and incident.awaits_ack:
        yield "More has happened since it was acknowledged: acknowledge it again"
    if incident.unheard_clause:
        yield incident.unheard_clause
    if incident.is_flapping:
        yield incident.firing_words.capitalize()
    if incident.truncated:
        yield incident.unsent_clause
    counts = run_state.count_unfinished(runs)
    if counts:
        yield f"Runs: {counts}. Details: `runs`"


def _lines(incident: Incident, situation: Situation) -> Iterator[str]:
    """The same as text."""
    yield f"{situation.headword}: {situation.holder}"
    since = f"since {spell_moment(situation.since)}"
    yield f"{situation.count}, {since}" if situation.count else f"S{since[1:]}"
    if situation.resolved_at:
        yield f"Resolved {spell_moment(situation.resolved_at)}"
    if situation.description:
        yield from situation.description.splitlines()
    if situation.facts:
        yield ", ".join(f"{name}: {value}" for name, value in situation.facts.items())
    for one in situation.alerts:
        yield f"- {one.text}{f' ({one.value})' if one.value else ''}"
    if situation.more:
        yield f"and {situation.more} more: `show {incident.id}`"
    yield from situation.notes
    for label, url in situation.links.items():
        yield f"{label}: {url}"


def _headword(incident: Incident) -> str:
    match incident.status:
        case Status.ACKED:
            return f"ACKNOWLEDGED ({incident.severity})"
        case Status.RESOLVED:
            return f"RESOLVED ({incident.severity})"
        case _:
            return str(incident.severity).upper()


def holder(incident: Incident, names: Mapping[str, str], on_call: Sequence[Contact] = ()) -> str:
    """Who has it, or that nobody has."""
    called = f"; on call: {spell_list((one.name for one in on_call), 'and')}" if on_call else ""
    owner = names.get(incident.owner or "", incident.owner_name)
    match incident.status:
        case Status.ACKED:
            return f"{owner} has it"
        case Status.RESOLVED:
            return f"resolved by {names.get(incident.resolved_by or '', incident.resolver_name)}"
        case _ if owner:
            return f"assigned to {owner}, who has not acknowledged it{called}"
        case _:
            return f"nobody has it yet{called}"


def _buttons(incident: Incident, alerts: Sequence[AlertView], *, can_silence: bool) -> dict[str, str]:
    if incident.status is Status.RESOLVED:
        return {}
    buttons = {"Acknowledge": f"ack {incident.marked}"} if incident.awaits_ack else {}
    buttons["Resolve"] = f"resolve {incident.marked}"
    silenced = _silence(alerts) if can_silence else ""
    return buttons | ({"Silence 2h": silenced} if silenced else {})


def _silence(alerts: Sequence[AlertView]) -> str:
    """The command that silences what fires here; "" where a label would have to be quoted."""
    firing = [one.labels for one in alerts if one.firing]
    common = {name: firing[0].get(name, "") for name in _SILENCED} if firing else {}
    common = {name: value for name, value in common.items() if value and all(one.get(name) == value for one in firing)}
    if "alertname" not in common or any(
        not value.replace("-", "").replace("_", "").isalnum() for value in common.values()
    ):
        return ""
    return f"silence {' '.join(f'{name}={value}' for name, value in common.items())} for 2h"


def _confirm(incident: Incident) -> dict[str, str]:
    if incident.status is Status.RESOLVED or not incident.firing:
        return {}
    fire = "1 alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
    return {"Resolve": f"{fire}. Resolve #{incident.id} all the same? If they go on, it opens again and pages."}
