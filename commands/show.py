"""show: one incident in a few lines."""

from __future__ import annotations

from dataclasses import dataclass

from bot import words
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Show:
    verb: str = "show"
    usage: str = "show <incident>"
    says: str = "show where an incident stands"

    def run(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = words.target(rest, ask.incident_id, self.usage)
        one = desk.incident(number)
        lines = [
            f"#{one.id} {one.title}",
            f"{one.severity}, {one.status}, {one.firing} of {one.total} alerts firing"
            + (f", {one.owner} has it" if one.owner else ""),
            f"opened {one.opened_at:%Y-%m-%d %H:%M} UTC",
        ]
        if one.resolved_at:
            lines.append(f"resolved {one.resolved_at:%Y-%m-%d %H:%M} UTC by {one.resolved_by}")
        return Reply(said="\n".join(lines))


command = Show()
