"""Whose account that is, and how it comes to be: settings and links in one, and the steps of linking, each in the
caller's transaction.

The promise: an account is linked only with proof on both sides, a code that one private place showed and another one
sent; and it stays that one person's until they, or the settings, say otherwise.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from bot.access import identity
from bot.access.identity import AccountHolder, LinkRefusal, People, RedeemContext
from bot.core.access import Account, AccountLink, LinkCode, RecordedIdentity, canonical_account
from bot.core.audit import AuditEntry, Code
from bot.core.channel import GroupPlatform, Messenger
from bot.core.errors import Rejected, Undelivered
from bot.core.request import Principal, Reply, Request
from bot.notifications.sender import LONGEST_RETRY
from bot.store import account_links, account_messages, audit_log
from bot.store.account_messages import AccountMessage
from bot.store.engine import Store
from bot.store.sql import Sql
from bot.store.transaction import Tx


class AccountLinking:
    """`groups`: the platform whose groups carry roles, if there is one. `places`: where people have accounts of their
    own. `typed`: how the line with a code is typed where that is not as it stands, a clause for each such platform.
    """

    def __init__(
        self,
        settled: People,
        groups: GroupPlatform | None = None,
        *,
        places: Collection[str] = (),
        typed: Sequence[str] = (),
    ) -> None:
        self._people = settled
        self._groups = groups
        self._places = frozenset(places)
        self._typed = f" ({', '.join(typed)})" if typed else ""

    def person(self, store: Store, channel: str, account: str) -> Principal | None:
        """Who has that account, with the roles of this moment. An account of the settings needs no database."""
        named = self._people.accounts.get((channel, account))
        if named is not None and not self._people.groups:
            return self._people.persons[named]
        with store.read() as reading:
            named = self._holder(reading.sql, (channel, account))
            who = self._people.persons.get(named or "")
            return None if who is None else self._with_groups(reading.sql, who)

    def principal_of(self, sql: Sql, person: str) -> Principal | None:
        """The person of that id with the roles of this moment; None when the settings have nobody of it."""
        who = self._people.persons.get(person)
        return who if who is None or not self._people.groups else self._with_groups(sql, who)

    def holder_of(self, sql: Sql, account: Account) -> AccountHolder | None:
        """Whose that account is now, by the settings or by a link."""
        named = self._people.accounts.get(account)
        if named is not None:
            return AccountHolder(person=named)
        link = account_links.of_account(sql, account)
        return None if link is None else AccountHolder(person=link.person, since=link.at)

    def identity_of(self, tx: Tx, request: Request) -> RecordedIdentity:
        """Whoever asks, as they are to be known again later."""
        settled = {account for account, whose in self._people.accounts.items() if whose == request.by.id}
        linked = {(one.channel, one.account) for one in account_links.of_person(tx.sql, request.by.id)}
        own = canonical_account(request.channel, request.account)
        return RecordedIdentity(
            person=request.by.id,
            channel=request.channel,
            account=request.account,
            at=tx.now,
            accounts=frozenset({own, *settled, *linked} if request.account else settled | linked),
        )

    def remove_overruled(self, tx: Tx) -> None:
        """End what the settings have overruled: links of people who are gone, of accounts that they name themselves.

        Left alone, they would come alive again with the next person who is given that id.
        """
        for link in account_links.overridden_by_settings(tx, self._people.persons.keys(), self._people.accounts.keys()):
            account_links.delete(tx, link)
            message = f"{link.channel} {link.account} is {link.person}'s no longer: the settings say otherwise."
            _record_ended(tx, message, link)
        self._end_unvouched(tx)

    def _end_unvouched(self, tx: Tx) -> None:
        """End links that were made from an account which is the person's no longer, and those that such links made."""
        while ended := [
            one for one in account_links.all_links(tx) if self._holder(tx.sql, one.linked_by) != one.person
        ]:
            for link in ended:
                account_links.delete(tx, link)
                account = f"{link.channel} {link.account}"
                message = f"{account} is {link.person}'s no longer: nor is {link.by}, by which it was linked."
                _record_ended(tx, message, link)

    def issue(self, tx: Tx, request: Request) -> Reply:
        if not request.private:
            raise Rejected(identity.IN_PRIVATE, code="not_private")
        if request.by.id not in self._people.persons:
            return Reply(text=identity.how_to_link(request.channel, request.account), ok=False)
        code = identity.format_code(secrets.token_bytes(identity.CODE_BYTES))
        until = tx.now + identity.CODE_LIFETIME
        issued = LinkCode(
            person=request.by.id, channel=request.channel, account=request.account, expires_at=until, used=False
        )
        account_links.put_code(tx, identity.hash_code(code), issued)
        message = (
            f"/link {code}\n"
            f"Send that line to the bot from your other account, in private, before {until:%H:%M} UTC"
            f"{self._typed}. It works once. Whoever sends it is you from then on: show it to nobody."
        )
        return Reply(text=message, secret=True)

    def redeem(self, tx: Tx, request: Request, code: str) -> Reply:
        """A refusal is stored too (a wrong code is counted), so it is a reply and no exception."""
        sealed = identity.hash_code(code)
        issued = account_links.find_code(tx, sealed)
        refused = identity.link_refusal(issued, self._circumstances(tx, request, issued), self._people.persons)
        if refused is not None:
            return self._refuse(tx, request, sealed, refused)
        assert issued is not None, "no code, no link"
        by = f"{issued.channel} {issued.account}"
        account_links.put(
            tx, AccountLink(channel=request.channel, account=request.account, person=issued.person, at=tx.now, by=by)
        )
        account_links.redeem_code(tx, sealed, _word_of(tx, request))
        message = (
            f"{request.channel} {request.account} is {issued.person}'s from now on, by a code that {by} asked for."
        )
        _record(tx, request, Code.LINKED, message, issued.person)
        who = self._people.persons[issued.person]
        return Reply(text=f"This account ({request.channel}: {request.account}) is {who.display_name}'s from now on.")

    def unlink(self, tx: Tx, request: Request, channel: str) -> Reply:
        ended = next((one for one in account_links.of_person(tx.sql, request.by.id) if one.channel == channel), None)
        if ended is None:
            raise Rejected(self._why_not_linked(request.by.id, channel), code="no_link")
        account_links.delete(tx, ended)
        _record(tx, request, Code.UNLINKED, f"{channel} {ended.account} is {ended.person}'s no longer.", ended.person)
        self._end_unvouched(tx)
        return Reply(text=f"The {channel} account {ended.account} is yours no longer. What it waited for is void.")

    def whoami(self, tx: Tx, request: Request) -> Sequence[str]:
        groups = self._groups_of(tx.sql, request.by.id)
        platform = self._groups.name if self._groups else ""
        return identity.describe_person(
            request.by, self._people, account_links.of_person(tx.sql, request.by.id), groups, platform
        )

    def pending_messages(self, tx: Tx, request: Request) -> list[str]:
        """What the asker's account has still to be told."""
        if not request.account:
            return []
        return [
            *account_links.MESSAGES.take_messages(tx, (request.channel, request.account)),
            *account_messages.MESSAGES.take_messages(tx, canonical_account(request.channel, request.account)),
        ]

    def _circumstances(self, tx: Tx, request: Request, issued: LinkCode | None) -> RedeemContext:
        account = (request.channel, request.account)
        return RedeemContext(
            channel=request.channel,
            account=request.account,
            own=request.channel in self._places,
            private=request.private,
            now=tx.now,
            failed_attempts=account_links.failed_attempts(tx, account),
            holder=self._holder(tx.sql, account),
            current_account=self._account_of(tx.sql, issued.person, request.channel) if issued else None,
            issuer=self._holder(tx.sql, canonical_account(issued.channel, issued.account)) if issued else None,
        )

    def _holder(self, sql: Sql, account: Account) -> str | None:
        held = self.holder_of(sql, account)
        return None if held is None else held.person

    def _account_of(self, sql: Sql, person: str, channel: str) -> str | None:
        linked = (one.account for one in account_links.of_person(sql, person) if one.channel == channel)
        return self._people.account_of(person, channel) or next(linked, None)

    def _refuse(self, tx: Tx, request: Request, sealed: str, refused: LinkRefusal) -> Reply:
        issued = account_links.find_code(tx, sealed)
        account = (request.channel, request.account)
        if refused.counts_as_attempt:
            account_links.save_failed_attempts(
                tx, account, account_links.failed_attempts(tx, account) + 1, lasting=identity.LOCKED_FOR
            )
        if refused.voids_code:
            where = f"your linking code was sent by {request.channel} {request.account} ({refused.reason}) and is void"
            account_links.redeem_code(tx, sealed, f"At {tx.now:%H:%M} UTC {where}.")
        message = f"{request.channel} {request.account} was not linked: {refused.reason}."
        _record(tx, request, Code.NOT_LINKED, message, issued.person if issued else "")
        return Reply(text=refused.message, ok=False)

    def _why_not_linked(self, person: str, channel: str) -> str:
        if self._people.account_of(person, channel) is not None:
            return f"Your {channel} account is in the settings; only an admin can take it out. Nothing was done."
        return f"You have linked no {channel[:40]!r} account. Nothing was done. `whoami` lists your accounts."

    def _with_groups(self, sql: Sql, who: Principal) -> Principal:
        by_groups = identity.roles_by_groups(self._people, self._groups_of(sql, who.id))
        return replace(who, roles=who.roles | by_groups)

    def _groups_of(self, sql: Sql, person: str) -> Mapping[str, bool | None]:
        """Empty for somebody without an account on that platform, and where there is none."""
        if self._groups is None or not self._people.groups:
            return {}
        account = self._account_of(sql, person, self._groups.channel)
        return self._groups.read(account) if account else {}


def _word_of(tx: Tx, request: Request) -> str:
    return (
        f"Since {tx.now:%Y-%m-%d %H:%M} UTC the {request.channel} account {request.account} is yours."
        f" If that was not you, say `unlink {request.channel}` and tell your security contact."
    )


def _record_ended(tx: Tx, message: str, link: AccountLink) -> None:
    audit_log.append(tx, [AuditEntry(code=Code.UNLINKED, by="bot", message=message, verb="unlink", target=link.person)])


def _record(tx: Tx, request: Request, code: Code, message: str, person: str) -> None:
    """`person`: whose accounts it is about; "" where nobody knows."""
    entry = AuditEntry(
        code=code,
        by=request.by.id or f"{request.channel}:{request.account}",
        message=message,
        verb="unlink" if code is Code.UNLINKED else "link",
        target=person,
        channel=request.channel,
        account=request.account,
        idempotency_key=request.idempotency_key,
    )
    audit_log.append(tx, [entry])


logger = logging.getLogger(__name__)

#: After so long a word that was not told is tried again, and by then another process may do it.
_AGAIN = timedelta(seconds=30)


class _Box(Protocol):
    """Where words wait."""

    def messages_due(self, sql: Sql, now: datetime) -> bool: ...
    def claim_messages(self, tx: Tx, lease: timedelta) -> list[AccountMessage]: ...
    def retry_message(self, tx: Tx, message: AccountMessage, retry_after: timedelta | None = None) -> None: ...
    def mark_notified(self, tx: Tx, message: AccountMessage) -> None: ...


def send_account_messages(store: Store, messengers: Mapping[str, Messenger]) -> None:
    """All words that are due. `speaks`: the channels that can say a line of their own, by name."""
    boxes: tuple[_Box, ...] = (account_links.MESSAGES, account_messages.MESSAGES)
    for box in boxes:
        with store.read() as seen:
            if not box.messages_due(seen.sql, store.now()):
                continue
        with store.begin() as tx:
            due = box.claim_messages(tx, _AGAIN)
        for word in due:
            _tell(store, box, messengers.get(word.channel), word)


def _tell(store: Store, box: _Box, channel: Messenger | None, word: AccountMessage) -> None:
    if channel is None:
        with store.begin() as tx:
            box.retry_message(tx, word)
        return
    try:
        channel.post(word.text, word.account)
    except Undelivered as trouble:
        about = {"place": word.channel, "account": word.account, "why": trouble.message}
        logger.warning("an account is not told what it is to be told", extra=about)
        with store.begin() as tx:
            box.retry_message(tx, word, None if trouble.permanent else _later(trouble.retry_after))
        return
    with store.begin() as tx:
        box.mark_notified(tx, word)


def _later(after: timedelta | None) -> timedelta:
    return min(max(_AGAIN, after or _AGAIN), LONGEST_RETRY)
