"""What no single key of the settings shows: two entries that contradict each other, a name that nothing has.

Works on plain values, not on `Settings`, so that it finds its faults also where others are already known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.config import consistency_rights
from bot.config.consistency_rights import Declared, entries
from bot.config.faults import Loc, Plain, nearest
from bot.lib.settings_fields import is_loopback

#: Names that an incident's story uses for what is not a person, beside those of sources and channels.
_NOT_PEOPLE = frozenset({"cli", "vakhta", "system"})


def contradictions(tree: Mapping[str, Plain], declared: Declared) -> Iterator[tuple[Loc, str]]:
    """Where, and what is wrong there."""
    yield from _doubles(tree, "people", ("id", *declared.account_keys))
    yield from _doubles(tree, "services", ("name",))
    yield from _doubles(tree, "freezes", ("name",))
    yield from _people_called_like_machines(tree, {*_NOT_PEOPLE, *declared.sources, *declared.channels})
    yield from consistency_rights.contradictions(tree, declared)
    yield from _unknown_clusters(tree)
    yield from _shared_gates(tree)
    yield from _silent_anchor(tree)
    yield from _open_console(tree)
    yield from _what_the_mode_needs(tree, declared)


def _doubles(tree: Mapping[str, Plain], section: str, keys: tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    for key in keys:
        first: dict[str, Loc] = {}
        for loc, entry in entries(tree, section):
            value = entry.get(key)
            if value is None or isinstance(value, dict | list):
                continue
            if str(value) in first:
                other = f"{section}[{first[str(value)][1]}]"
                yield (*loc, key), f"is also the {key} of {other}; each {key} belongs to one entry"
            first.setdefault(str(value), loc)


def _people_called_like_machines(tree: Mapping[str, Plain], machines: set[str]) -> Iterator[tuple[Loc, str]]:
    for loc, person in entries(tree, "people"):
        if str(person.get("id")) in machines:
            yield (*loc, "id"), "is a name that the bot uses for a machine; choose another"


def _unknown_clusters(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    clusters = tree.get("clusters")
    if not isinstance(clusters, dict):
        return
    for loc, service in entries(tree, "services"):
        cluster = service.get("cluster")
        if isinstance(cluster, str) and cluster not in clusters:
            yield (*loc, "cluster"), f"is not under `clusters`; {nearest(cluster, clusters)}"


def _shared_gates(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    clusters = tree.get("clusters")
    first: dict[str, str] = {}
    for name, cluster in clusters.items() if isinstance(clusters, dict) else ():
        flagger = cluster.get("flagger") if isinstance(cluster, dict) else None
        tokens = flagger.get("tokens") if isinstance(flagger, dict) else None
        for number, token in enumerate(tokens if isinstance(tokens, list) else ()):
            other = first.setdefault(str(token), name)
            if other != name:
                message = f"is also one of clusters.{other}.flagger.tokens; a token tells which cluster asks"
                yield ("clusters", name, "flagger", "tokens", number), message


def _silent_anchor(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    audit, channels = tree.get("audit"), tree.get("channels")
    anchors = audit.get("anchors") if isinstance(audit, dict) else None
    chat = anchors.get("chat") if isinstance(anchors, dict) else None
    channel = chat.get("channel") if isinstance(chat, dict) else None
    if isinstance(channel, str) and not (isinstance(channels, dict) and isinstance(channels.get(channel), dict)):
        yield ("audit", "anchors", "chat", "channel"), f"is not set up; there is no channels.{channel}"


def _open_console(tree: Mapping[str, Plain]) -> Iterator[tuple[Loc, str]]:
    server, channels = tree.get("server"), tree.get("channels")
    listen = server.get("listen") if isinstance(server, dict) else None
    console = channels.get("console") if isinstance(channels, dict) else None
    disabled = isinstance(console, dict) and console.get("enabled") is False
    if isinstance(listen, str) and ":" in listen and not is_loopback(listen) and not disabled:
        message = "is not loopback, and the console is loopback only; set channels.console.enabled: false"
        yield ("server", "listen"), message


def _what_the_mode_needs(tree: Mapping[str, Plain], declared: Declared) -> Iterator[tuple[Loc, str]]:
    channels = tree.get("channels")
    for channel, kind in declared.channels.items():
        section = channels.get(channel) if isinstance(channels, dict) else None
        if not isinstance(section, dict):
            continue
        mode = section.get("mode") or kind.usual_mode()
        key = kind.mode_needs.get(str(mode))
        if key and not section.get(key):
            yield ("channels", channel, key), f"is missing; mode {mode} needs it"
