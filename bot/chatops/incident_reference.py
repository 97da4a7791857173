"""Checks that the number on a button still means the incident that the button was made for. Pure.

After a restore from a backup numbers are given out again, while cards in chats keep their buttons for years. So a
button carries the incident marker too (`core.incident_marker`), and is refused if the incident of that number has
another marker. A typed number is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from bot.chatops import parser
from bot.core.errors import Rejected
from bot.core.incident import Incident
from bot.core.incident_marker import MarkedIncidentNumber
from bot.core.request import Request

A = TypeVar("A", bound=Any)

#: The code of the refusal.
ANOTHER_INCIDENT = "another_incident"


def check_incident_numbers(args: A, request: Request, known: Callable[[int], Incident | None]) -> A:
    """The arguments with plain numbers. `known`: finds the incident of a number.

    A button from before there were markers is accepted only on the card of that incident, as the database knows it. The
    refusal is the same whether or not an incident of that number exists, so it reveals nothing.

    Raises:
        Rejected: a number was meant for another incident.
    """
    for name, number in parser.incident_numbers(args).items():
        if isinstance(number, MarkedIncidentNumber):
            found = known(int(number))
            meant = found is not None and found.mark == number.mark
        else:
            meant = not request.from_button or number == request.incident_id
        if not meant:
            raise _another(number)
        args = replace(args, **{name: int(number)})
    return args


def _another(number: int) -> Rejected:
    return Rejected(
        f"This button belongs to another incident than the one that is #{int(number)} now: the database was restored"
        " from a backup since, or the button is too old to tell. Nothing was done. `incidents` lists all unresolved.",
        code=ANOTHER_INCIDENT,
        status=409,
    )
