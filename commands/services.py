"""services: the catalog: every service with owner, on call and incidents; one in full; alerts that no service owns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from bot.alerts.unowned import settings_lines
from bot.chatops.arguments import Name
from bot.chatops.tokens import ArgumentSlot, Tokens
from bot.core.catalog import ServiceState
from bot.core.command import CommandContext
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request
from bot.lib.open_links import can_open

_UNOWNED = "unowned"
#: Services and groups of labels in one answer, and characters of a whole answer: Telegram's limit is 4096.
_SERVICES, _GROUPS, _ROOM = 40, 10, 3300
_NAMES, _NUMBERS, _LINE = 10, 10, 300


@dataclass(frozen=True)
class ServiceOrUnowned:
    """The name of a service, or the word `unowned`."""

    def usage(self, field: str) -> str:
        return f"{field}|{_UNOWNED}"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        return tokens.next_word() if tokens.peek() == _UNOWNED else Name().parse(tokens, slot)

    def format(self, value: object) -> str:
        return Name().format(value)


@dataclass(frozen=True, kw_only=True)
class ServicesArgs:
    service: Annotated[str | None, ServiceOrUnowned()] = None


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("services", "services {service}", "services unowned"),
    details="`services unowned` lists the labels of alerts that no service owns, with settings that would own them.",
)


@dataclass(frozen=True)
class ServicesCommand:
    verb: str = "services"
    usage: str = "services [<service|unowned>]"
    summary: str = "list services with owner, on call and incidents"
    manual: Manual = _MANUAL
    args: type[ServicesArgs] = ServicesArgs
    read_only: bool = True

    def run(self, request: Request, args: ServicesArgs, context: CommandContext) -> Reply:
        if args.service is None:
            return Reply(text="\n".join(_listed(context)))
        if args.service == _UNOWNED:
            return Reply(text="\n".join(_unowned(context)))
        one = context.catalog.describe(args.service)
        troubles = context.catalog.dependencies_in_trouble(args.service)
        return Reply(text="\n".join(line[:_LINE] for line in (*_in_full(one, context.catalog.default), *troubles)))


def _listed(context: CommandContext) -> Iterator[str]:
    """Those with incidents first, so that a long catalog hides none of them."""
    known = sorted(context.catalog.list_services(), key=lambda one: not one.incidents)
    if not known:
        yield "The settings have no services. `services unowned` shows which ones the alerts that came would need."
        return
    for place, one in enumerate(known):
        if place == _SERVICES:
            yield f"... and {len(known) - place} more; `services NAME` shows one."
            return
        parts = [f"owner {one.service.owner or 'nobody'}", f"on call {_joined(one.on_call) or 'nobody'}"]
        if one.incidents:
            parts.append(f"open: {_numbers(one.incidents)}")
        yield f"{one.service.name}: {', '.join(parts)}"[: _ROOM // _SERVICES]


def _in_full(one: ServiceState, default: str | None) -> Iterator[str]:
    service = one.service
    yield service.name + (" (of alerts that match no service)" if service.name == default else "")
    members = f" ({_joined(one.members)})" if one.members else ""
    yield f"Owner: {service.owner or 'nobody'}{members}"
    yield f"On call: {_joined(one.on_call) or 'nobody, according to the settings'}"
    yield f"Open incidents: {_numbers(one.incidents) if one.incidents else 'none'}"
    if service.environment:
        yield f"Environment: {service.environment}"
    if service.tier is not None:
        yield f"Tier: {service.tier}"
    if service.match:
        yield f"Alerts with: {', '.join(f'{name}={value}' for name, value in service.match.items())}"
    if service.depends_on:
        yield f"Depends on: {_joined(service.depends_on)}"
    if one.needed_by:
        yield f"Needed by: {_joined(one.needed_by)}"
    for runbook in service.runbooks[:_NAMES]:
        yield f"Runbook: {runbook}"
    yield from (f"{label}: {url}" for label, url in list(service.links.items())[:_NAMES] if can_open(url))


def _unowned(context: CommandContext) -> Iterator[str]:
    found = context.catalog.list_unowned()
    if not found:
        yield "Every alert that came lately belongs to a service of the settings."
        return
    lines = list(settings_lines(found[:_GROUPS]))
    while sum(map(len, lines)) + len(lines) > _ROOM and len(lines) > 1:
        del lines[-3:]  # an entry: its comment, name and match
    shown = (len(lines) - 1) // 3
    yield f"Alerts that no service owns, newest first. These settings would own {shown} of {len(found)} sorts:"
    yield from lines


def _joined(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _numbers(incidents: tuple[int, ...]) -> str:
    more = f" and {len(incidents) - _NUMBERS} more" if len(incidents) > _NUMBERS else ""
    return ", ".join(f"#{one}" for one in incidents[:_NUMBERS]) + more


command = ServicesCommand()
