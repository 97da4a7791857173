"""Who has an account, and how accounts are linked: each step in the caller's transaction; and messages to accounts.

The promise: an account is linked only with proof from both sides, a code that was shown in one private chat and sent
from another. It stays that person's until they, or the settings, end that. Each use of a code is reported to the
account that requested it, so that a stolen code does not stay unnoticed.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bot.access import identity
from bot.access.identity import AccountHolder, LinkRefusal, People, RedeemContext
from bot.core.access import Account, AccountLink, LinkCode, RecordedIdentity, canonical_account
from bot.core.audit import AuditEntry, Code
from bot.core.channel import GroupPlatform, Messenger
from bot.core.errors import Rejected, Undelivered
from bot.core.request import Principal, Reply, Request
from bot.notifications.sender import LONGEST_RETRY
from bot.store import account_links, account_messages, audit_log
from bot.store.account_messages import AccountMessage, MessageQueue
from bot.store.engine import Store, Unavailable
from bot.store.sql import Sql
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: A message that was not delivered is tried again after this long, perhaps by another process.
_RETRY_AFTER = timedelta(seconds=30)


class AccountLinking:
    """Answers who has an account, and changes that.

    Args:
        settled: the people and accounts of the settings.
        groups: the platform whose groups grant roles, if there is one.
        places: the channels in which people have accounts of their own.
        typed: for each platform on which the line with a code is typed in another form, a clause that says how.
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
        """Who has that account, with the roles of now. An account of the settings needs no database."""
        holder = self._people.accounts.get((channel, account))
        if holder is not None and not self._people.groups:
            return self._people.persons[holder]
        with store.read() as reading:
            holder = self._holder(reading.sql, (channel, account))
            who = self._people.persons.get(holder or "")
            return None if who is None else self._with_groups(reading.sql, who)

    def account_of(self, store: Store, person: str, channel: str) -> str:
        """The person's account in that channel, by the settings or by a link; "" if there is none.

        Also "" if the database does not answer: a message in which nobody is mentioned is better than none.
        """
        settled = self._people.account_of(person, channel)
        if settled is not None or channel not in self._places:
            return settled or ""
        try:
            with store.read() as reading:
                return self._account_of(reading.sql, person, channel) or ""
        except Unavailable as trouble:
            logger.warning("a linked account was not looked up", extra={"place": channel, "why": str(trouble)})
            return ""

    def accounts_of(self, sql: Sql, person: str) -> list[Account]:
        """The person's accounts, one for each channel where they have one."""
        found = ((channel, self._account_of(sql, person, channel)) for channel in sorted(self._places))
        return [(channel, account) for channel, account in found if account]

    @property
    def roles_of_groups(self) -> frozenset[str]:
        """The roles that groups of a platform give; the settings do not say to whom."""
        return frozenset(self._people.groups)

    def principal_of(self, sql: Sql, person: str) -> Principal | None:
        """The person with that id, with the roles of now; None if the settings have none."""
        who = self._people.persons.get(person)
        return who if who is None or not self._people.groups else self._with_groups(sql, who)

    def holder_of(self, sql: Sql, account: Account) -> AccountHolder | None:
        """Who has that account now, by the settings or by a link."""
        holder = self._people.accounts.get(account)
        if holder is not None:
            return AccountHolder(person=holder)
        link = account_links.of_account(sql, account)
        return None if link is None else AccountHolder(person=link.person, since=link.at)

    def identity_of(self, tx: Tx, request: Request) -> RecordedIdentity:
        """The sender and all their accounts, recorded so that a later decision recognises them."""
        settled = {account for account, person in self._people.accounts.items() if person == request.by.id}
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
        """End the links that the settings overrule: of people who are gone, and of accounts that the settings list.

        The trap: a link that is left would count again for the next person with that id.
        """
        for link in account_links.overridden_by_settings(tx, self._people.persons.keys(), self._people.accounts.keys()):
            account_links.delete(tx, link)
            message = f"{link.channel} {link.account} is no longer linked to {link.person}: the settings overrule it."
            _record_ended(tx, message, link)
        self._end_unvouched(tx)

    def _end_unvouched(self, tx: Tx) -> None:
        """End links that were made from an account that the person has no longer, and links made from those."""
        while ended := [
            one for one in account_links.all_links(tx) if self._holder(tx.sql, one.linked_by) != one.person
        ]:
            for link in ended:
                account_links.delete(tx, link)
                message = (
                    f"{link.channel} {link.account} is no longer linked to {link.person}, because {link.by}, which"
                    " vouched for it, no longer is."
                )
                _record_ended(tx, message, link)

    def issue(self, tx: Tx, request: Request) -> Reply:
        """Issue a code for one more account. Raises `Rejected` if others can read the chat."""
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
            f"Send that line to the bot from your other account, in a private chat, before {until:%H:%M} UTC"
            f"{self._typed}. It works once. Show it to nobody: whichever account sends it gets your rights."
        )
        return Reply(text=message, secret=True)

    def redeem(self, tx: Tx, request: Request, code: str) -> Reply:
        """Link the sender's account by that code.

        A refusal is a reply and not an exception, because it is stored too: wrong codes are counted.
        """
        code_hash = identity.hash_code(code)
        issued = account_links.find_code(tx, code_hash)
        refused = identity.link_refusal(issued, self._redeem_context(tx, request, issued), self._people.persons)
        if refused is not None:
            return self._refuse(tx, request, code_hash, refused)
        assert issued is not None, "no code, no link"
        by = f"{issued.channel} {issued.account}"
        account_links.put(
            tx, AccountLink(channel=request.channel, account=request.account, person=issued.person, at=tx.now, by=by)
        )
        account_links.redeem_code(tx, code_hash, _linked_message(tx, request))
        message = f"{request.channel} {request.account} is linked to {issued.person}, by a code that {by} requested."
        _record(tx, request, Code.LINKED, message, issued.person)
        who = self._people.persons[issued.person]
        return Reply(text=f"This account ({request.channel}: {request.account}) is linked to {who.display_name}.")

    def unlink(self, tx: Tx, request: Request, channel: str) -> Reply:
        """End the sender's link in that channel, and every link made from it. Raises `Rejected` if there is none."""
        ended = next((one for one in account_links.of_person(tx.sql, request.by.id) if one.channel == channel), None)
        if ended is None:
            raise Rejected(self._not_linked(request.by.id, channel), code="no_link")
        account_links.delete(tx, ended)
        message = f"{channel} {ended.account} is no longer linked to {ended.person}."
        _record(tx, request, Code.UNLINKED, message, ended.person)
        self._end_unvouched(tx)
        return Reply(
            text=f"The {channel} account {ended.account} is no longer linked to you. Your pending codes, and approvals"
            " given from that account, are void."
        )

    def whoami(self, tx: Tx, request: Request) -> Sequence[str]:
        """The sender's accounts and roles, a line each."""
        groups = self._groups_of(tx.sql, request.by.id)
        platform = self._groups.name if self._groups else ""
        return identity.describe_person(
            request.by, self._people, account_links.of_person(tx.sql, request.by.id), groups, platform
        )

    def pending_messages(self, tx: Tx, request: Request) -> list[str]:
        """The messages that wait for the sender's account; they are not sent again."""
        if not request.account:
            return []
        return [
            *account_links.MESSAGES.take_messages(tx, (request.channel, request.account)),
            *account_messages.MESSAGES.take_messages(tx, canonical_account(request.channel, request.account)),
        ]

    def _redeem_context(self, tx: Tx, request: Request, issued: LinkCode | None) -> RedeemContext:
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

    def _refuse(self, tx: Tx, request: Request, code_hash: str, refused: LinkRefusal) -> Reply:
        issued = account_links.find_code(tx, code_hash)
        account = (request.channel, request.account)
        if refused.counts_as_attempt:
            account_links.save_failed_attempts(
                tx, account, account_links.failed_attempts(tx, account) + 1, lasting=identity.LOCKED_FOR
            )
        if refused.voids_code:
            sender = f"{request.channel} {request.account} ({refused.reason})"
            message = f"Your linking code was sent by {sender} at {tx.now:%H:%M} UTC, and is void."
            account_links.redeem_code(tx, code_hash, message)
        message = f"{request.channel} {request.account} was not linked: {refused.reason}."
        _record(tx, request, Code.NOT_LINKED, message, issued.person if issued else "")
        return Reply(text=refused.message, ok=False)

    def _not_linked(self, person: str, channel: str) -> str:
        if self._people.account_of(person, channel) is not None:
            return f"Your {channel} account is in the settings; only an admin can remove it. Nothing was done."
        return f"You have linked no {channel[:40]!r} account. Nothing was done. `whoami` lists your accounts."

    def _with_groups(self, sql: Sql, who: Principal) -> Principal:
        by_groups = identity.roles_by_groups(self._people, self._groups_of(sql, who.id))
        return replace(who, roles=who.roles | by_groups)

    def _groups_of(self, sql: Sql, person: str) -> Mapping[str, bool | None]:
        """By group, whether the person is a member. Empty if there is no such platform or no account on it."""
        if self._groups is None or not self._people.groups:
            return {}
        account = self._account_of(sql, person, self._groups.channel)
        return self._groups.read(account) if account else {}


def _linked_message(tx: Tx, request: Request) -> str:
    return (
        f"The {request.channel} account {request.account} was linked to you at {tx.now:%Y-%m-%d %H:%M} UTC."
        f" If that was not you, send `unlink {request.channel}` and inform your security contact."
    )


def _record_ended(tx: Tx, message: str, link: AccountLink) -> None:
    audit_log.append(tx, [AuditEntry(code=Code.UNLINKED, by="bot", message=message, verb="unlink", target=link.person)])


def _record(tx: Tx, request: Request, code: Code, message: str, person: str) -> None:
    """`person`: whose accounts are concerned; "" if that is unknown."""
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


def send_account_messages(store: Store, messengers: Mapping[str, Messenger]) -> None:
    """Send all messages that are due: about linking codes, and about approvals. `messengers`: the channels, by name.

    A message that cannot be sent waits until the account's owner writes to the bot: see `pending_messages`.
    """
    for queue in (account_links.MESSAGES, account_messages.MESSAGES):
        with store.read() as reading:
            if not queue.messages_due(reading.sql, store.now()):
                continue
        with store.begin() as tx:
            due = queue.claim_messages(tx, _RETRY_AFTER)
        for message in due:
            _send(store, queue, messengers.get(message.channel), message)


def _send(store: Store, queue: MessageQueue, channel: Messenger | None, message: AccountMessage) -> None:
    if channel is None:
        with store.begin() as tx:
            queue.retry_message(tx, message)
        return
    try:
        channel.post(message.text, message.account)
    except Undelivered as trouble:
        about = {"place": message.channel, "account": message.account, "why": trouble.message}
        logger.warning("a message to an account is not delivered", extra=about)
        with store.begin() as tx:
            queue.retry_message(tx, message, None if trouble.permanent else _bounded(trouble.retry_after))
        return
    with store.begin() as tx:
        queue.mark_notified(tx, message)


def _bounded(retry_after: timedelta | None) -> timedelta:
    return min(max(_RETRY_AFTER, retry_after or _RETRY_AFTER), LONGEST_RETRY)
