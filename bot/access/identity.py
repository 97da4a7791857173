"""Who is who: the people of the settings, their accounts, and the codes that link further accounts. Pure.

An account belongs to one person. The settings overrule a link, and a link counts as long as its person is in the
settings. Nothing that people can choose on a platform (a name, an e-mail address) identifies them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.access import Account, AccountLink, LinkCode
from bot.core.request import Principal
from bot.lib.text import spell_duration

CODE_LIFETIME = timedelta(minutes=10)
#: This many wrong codes, each within `LOCKED_FOR` of the one before, lock the sending account for `LOCKED_FOR`.
MAX_ATTEMPTS = 5
LOCKED_FOR = timedelta(minutes=15)
CODE_BYTES = 16

#: The verbs that an unknown account may use.
OPEN_TO_NOBODY = frozenset({"link"})
LINK_FIRST = "Link your account first: /link. Nothing was done."
IN_PRIVATE = "Send this in a private chat. Nothing was done."
NOT_VALID = "Code not valid. Nothing was done. Get a new one: `link`."

#: Crockford's base 32: without I, L, O and U; lookalikes are read as the digits that they look like.
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE_LENGTH = 26  #: 128 bits at five a character
_GROUP = 5


@dataclass(frozen=True, kw_only=True)
class People:
    """The people of the settings."""

    persons: Mapping[str, Principal]  #: by id, with their roles by the settings
    accounts: Mapping[Account, str]  #: the id of the person who has it
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)  #: role -> the platform's groups that grant it

    def account_of(self, person: str, channel: str) -> str | None:
        """The person's account in that channel, by the settings."""
        return next((one for (where, one), whose in self.accounts.items() if (where, whose) == (channel, person)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountHolder:
    """Who has an account. `since`: when it was linked; None if it is in the settings."""

    person: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RedeemContext:
    """The facts at the time when a code is sent."""

    channel: str
    account: str
    own: bool  #: people have accounts of their own in that channel
    private: bool
    now: datetime
    failed_attempts: int  #: recent wrong codes from this account
    holder: str | None  #: who has the sending account already
    current_account: str | None  #: the account that the code's person has in this channel already
    issuer: str | None  #: who has now the account that requested the code


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkRefusal:
    """Why an account is not linked."""

    message: str  #: for the sender of the code; the same text for everything that is wrong with the code itself
    reason: str  #: for the audit log
    counts_as_attempt: bool = False  #: it counts as a wrong code
    voids_code: bool = False  #: the code, if it exists, was exposed, and is void


def link_refusal(issued: LinkCode | None, at: RedeemContext, persons: Mapping[str, Principal]) -> LinkRefusal | None:
    """Why this code does not link this account; None when it does.

    In a chat that others read the answer is the same for every code, so that nothing can be learned there.
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
    """Why a valid code may not link this account."""
    if not at.own:
        message = "The person at this machine is set in the settings and cannot be linked. Nothing was done."
        return LinkRefusal(message=message, reason="the account of a machine")
    if (issued.channel, issued.account) == (at.channel, at.account):
        message = "You requested the code here. Nothing was done. Send it from the account that you want to link."
        return LinkRefusal(message=message, reason="sent from the account that asked for it")
    if at.holder == issued.person:
        return LinkRefusal(message="This account is linked to you already. Nothing was done.", reason="linked already")
    if at.holder is not None:
        message = "This account belongs to somebody else. Nothing was linked, and the code is void."
        return LinkRefusal(message=message, reason=f"the account is {at.holder}'s", voids_code=True)
    if at.current_account is not None:
        message = (
            f"You have the {at.channel} account {at.current_account} already. Nothing was done. Send "
            f"`unlink {at.channel}` first."
        )
        return LinkRefusal(message=message, reason=f"has the account {at.current_account} there already")
    return None


def format_code(chance: bytes) -> str:
    """`CODE_BYTES` random bytes as a code to type: 26 characters in five groups."""
    number = int.from_bytes(chance, "big")
    digits = "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_CODE_LENGTH)))
    return "-".join([*(digits[start : start + _GROUP] for start in range(0, 20, _GROUP)), digits[20:]])


def hash_code(typed: str) -> str:
    """The form in which a code is stored and searched; the code cannot be recovered from it. Any text has one."""
    normalized = typed.upper().translate(_LOOKALIKES)
    return hashlib.sha256(b"vakhta link " + normalized.encode("utf-8", "replace")).hexdigest()


def without_code(words: str) -> str:
    """The text of a request as it may be recorded: without the code in it."""
    verb, _, code = words.strip().removeprefix("/").partition(" ")
    return f"{verb} (a code)" if verb.lower() == "link" and code.strip() else words


def how_to_link(channel: str, account: str) -> str:
    """For somebody whom the bot does not know."""
    return (
        f"This account ({channel}: {account}) is not linked to anybody. Nothing was done. Send `link` in a private chat"
        f" where the bot knows you, and within {spell_duration(CODE_LIFETIME)} send the line that you get there to the"
        " bot here. If the bot knows you nowhere, ask an admin to list this account under `people`."
    )


def roles_by_groups(people: People, groups: Mapping[str, bool | None]) -> frozenset[str]:
    """The roles that these groups grant; a group whose members are unknown grants none."""
    return frozenset(role for role, carried in people.groups.items() if any(groups.get(group) for group in carried))


def describe_person(
    person: Principal, people: People, links: Sequence[AccountLink], groups: Mapping[str, bool | None], platform: str
) -> list[str]:
    """For `whoami`, a line each. `groups`: the memberships on that platform, as in `roles_by_groups`."""
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
        lines.append(f"Role {role}: not now, because {platform} does not tell who is in {', '.join(unknown)}.")
    return lines
