"""Who is who: the people of the settings, their accounts, and the codes by which they link further ones. Pure.

An account is one person's. What the settings say of it beats a link, and a link counts for as long as its person is
in the settings. Nothing that a platform lets people choose (a name, an e-mail address) ever makes them somebody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.access import Account, AccountLink, LinkCode
from bot.core.request import Principal

CODE_LIFETIME = timedelta(minutes=10)
#: So many wrong codes, each within `LOCKED_FOR` of the one before, lock the account that sent them for that long.
MAX_ATTEMPTS = 5
LOCKED_FOR = timedelta(minutes=15)
CODE_BYTES = 16

#: What may be said from an account that is nobody's.
OPEN_TO_NOBODY = frozenset({"link"})
LINK_FIRST = "Link your account first: /link. Nothing was done."
IN_PRIVATE = "Send this in private. Nothing was done."
NOT_VALID = "Code not valid. Get a new one."

#: Crockford's base 32: no I, L, O, U, and what looks like another character is read as that one.
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE_LENGTH = 26  #: 128 bits at five a character
_GROUP = 5


@dataclass(frozen=True, kw_only=True)
class People:
    """What the settings say of people."""

    persons: Mapping[str, Principal]  #: by id, with the roles that the settings give them
    accounts: Mapping[Account, str]  #: whose it is
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)  #: role -> a platform's groups that carry it

    def account_of(self, person: str, channel: str) -> str | None:
        """The person's account there, as the settings have it."""
        return next((one for (where, one), whose in self.accounts.items() if (where, whose) == (channel, person)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountHolder:
    """Whose an account is. `since`: when it was linked; None where the settings say so."""

    person: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RedeemContext:
    """The circumstances in which a code is sent."""

    channel: str
    account: str
    own: bool  #: people have accounts of their own in that place
    private: bool
    now: datetime
    failed_attempts: int  #: wrong codes from this account, lately
    holder: str | None  #: whose account it is already
    current_account: str | None  #: the account that the code's person has in this place already
    issuer: str | None  #: whose the account is now that asked for the code


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkRefusal:
    """Why an account is not linked."""

    message: str  #: to whoever sent the code; all that is wrong with a code itself is told in the same words
    reason: str  #: to the audit
    counts_as_attempt: bool = False  #: it counts as a wrong code
    voids_code: bool = False  #: the code, if there is one, has been where it should not, and is void


def link_refusal(issued: LinkCode | None, at: RedeemContext, persons: Mapping[str, Principal]) -> LinkRefusal | None:
    """Why this code does not link this account; None when it does.

    Said among others it is the same answer for every code, so that nothing can be found out there.
    """
    if not at.private:
        return LinkRefusal(message=IN_PRIVATE, reason="sent where others can read it", voids_code=True)
    if at.failed_attempts >= MAX_ATTEMPTS:
        return LinkRefusal(message=NOT_VALID, reason="locked after too many wrong codes")
    if issued is None:
        return LinkRefusal(message=NOT_VALID, reason="no such code", counts_as_attempt=True)
    stale = _stale(issued, at, persons)
    return LinkRefusal(message=NOT_VALID, reason=stale, counts_as_attempt=True) if stale else _misplaced(issued, at)


def _stale(issued: LinkCode, at: RedeemContext, persons: Mapping[str, Principal]) -> str | None:
    if issued.used:
        return "used before"
    if issued.expires_at <= at.now:
        return "expired"
    if issued.person not in persons:
        return "its person is no longer in the settings"
    if at.issuer != issued.person:
        return f"the {issued.channel} account {issued.account} that asked for it is no longer {issued.person}'s"
    return None


def _misplaced(issued: LinkCode, at: RedeemContext) -> LinkRefusal | None:
    """The code is good; may it link this account?"""
    if not at.own:
        message = "Whoever sits at this machine is who the settings say, and cannot be linked. Nothing was done."
        return LinkRefusal(message=message, reason="the account of a machine")
    if (issued.channel, issued.account) == (at.channel, at.account):
        message = "You asked for the code here. Nothing was done. Send it from the account that is to be linked."
        return LinkRefusal(message=message, reason="sent from the account that asked for it")
    if at.holder == issued.person:
        return LinkRefusal(message="This account is yours already. Nothing was done.", reason="linked already")
    if at.holder is not None:
        message = "This account is somebody else's. Nothing was linked, and that code is void."
        return LinkRefusal(message=message, reason=f"the account is {at.holder}'s", voids_code=True)
    if at.current_account is not None:
        message = (
            f"You have the {at.channel} account {at.current_account} already. Nothing was done. Say "
            f"`unlink {at.channel}` first."
        )
        return LinkRefusal(message=message, reason=f"has the account {at.current_account} there already")
    return None


def format_code(chance: bytes) -> str:
    """`CODE_BYTES` random bytes as people type them: 26 characters in five groups."""
    number = int.from_bytes(chance, "big")
    digits = "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_CODE_LENGTH)))
    return "-".join([*(digits[start : start + _GROUP] for start in range(0, 20, _GROUP)), digits[20:]])


def hash_code(typed: str) -> str:
    """What is stored of a code, and looked for: nobody can get from it to the code. Any text has one."""
    meant = typed.upper().translate(_LOOKALIKES)
    return hashlib.sha256(b"vakhta link " + meant.encode("utf-8", "replace")).hexdigest()


def without_code(words: str) -> str:
    """The words of an ask as they may be written down: without the code in them."""
    verb, _, code = words.strip().removeprefix("/").partition(" ")
    return f"{verb} (a code)" if verb.lower() == "link" and code.strip() else words


def how_to_link(channel: str, account: str) -> str:
    """For somebody whom the bot does not know."""
    minutes = round(CODE_LIFETIME.total_seconds() / 60)
    return (
        f"This account ({channel}: {account}) is nobody's yet. Say `link` in private in a chat where the bot knows you,"
        f" and within {minutes} minutes send the words that you get there to the bot here. If it knows you nowhere, ask"
        " an admin to list this account under `people`. Nothing was done."
    )


def roles_by_groups(people: People, groups: Mapping[str, bool | None]) -> frozenset[str]:
    """The roles that these groups carry; a group of which nothing is known carries none."""
    return frozenset(role for role, carried in people.groups.items() if any(groups.get(group) for group in carried))


def describe_person(
    person: Principal, people: People, links: Sequence[AccountLink], groups: Mapping[str, bool | None], platform: str
) -> list[str]:
    """What a person is told of themselves, a line each. `groups`: as in `roles_by_groups`, of that platform."""
    named = sorted(account for account, whose in people.accounts.items() if whose == person.id)
    settled = people.persons[person.id].roles if person.id in people.persons else person.roles
    roles = [f"Role {role}: by the settings." for role in sorted(settled)]
    roles += [
        line for role, carried in sorted(people.groups.items()) for line in _by_group(role, carried, groups, platform)
    ]
    return [
        f"You are {person.display_name} ({person.id}).",
        *(f"{place} {account}: by the settings." for place, account in named),
        *(f"{one.channel} {one.account}: linked {one.at:%Y-%m-%d %H:%M} UTC by {one.by}." for one in links),
        *(roles or ["You have no role."]),
    ]


def _by_group(role: str, carried: frozenset[str], groups: Mapping[str, bool | None], platform: str) -> list[str]:
    lines = [f"Role {role}: by the {platform} group {group}." for group in sorted(carried) if groups.get(group)]
    unknown = sorted(group for group in carried if group in groups and groups[group] is None)
    if unknown and not lines:
        lines.append(f"Role {role}: not now, because {platform} does not say who is in {', '.join(unknown)}.")
    return lines
