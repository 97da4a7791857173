"""Whose account that is, and how it comes to be: settings and links in one, and the steps of linking, each in the
caller's transaction.

The promise: an account is linked only with proof on both sides, a code that one private place showed and another one
sent; and it stays that one person's until they, or the settings, say otherwise.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bot import people
from bot.accounts import GroupsOf
from bot.acts import AuditEntry, Code
from bot.model import Ask, Principal, Reply
from bot.people import Account, Held, Issued, Link, People, Redeeming, Refusal, Voice, as_settled
from bot.ports import Rejected
from bot.store import ledger, links, notices
from bot.store.engine import Store
from bot.store.sql import Sql
from bot.store.tx import Tx


class Linking:
    """`groups`: the platform whose groups carry roles, if there is one. `places`: where people have accounts of their
    own. `typed`: how the line with a code is typed where that is not as it stands, a clause for each such platform.
    """

    def __init__(
        self,
        settled: People,
        groups: GroupsOf | None = None,
        *,
        places: Collection[str] = (),
        typed: Sequence[str] = (),
    ) -> None:
        self._people = settled
        self._groups = groups
        self._places = frozenset(places)
        self._typed = f" ({', '.join(typed)})" if typed else ""

    def person(self, store: Store, place: str, account: str) -> Principal | None:
        """Who has that account, with the roles of this moment. An account of the settings needs no database."""
        named = self._people.accounts.get((place, account))
        if named is not None and not self._people.groups:
            return self._people.persons[named]
        with store.read() as reading:
            named = self._holder(reading.sql, (place, account))
            who = self._people.persons.get(named or "")
            return None if who is None else self._with_groups(reading.sql, who)

    def now(self, sql: Sql, person: str) -> Principal | None:
        """The person of that id with the roles of this moment; None when the settings have nobody of it."""
        who = self._people.persons.get(person)
        return who if who is None or not self._people.groups else self._with_groups(sql, who)

    def held(self, sql: Sql, account: Account) -> Held | None:
        """Whose that account is now, by the settings or by a link."""
        named = self._people.accounts.get(account)
        if named is not None:
            return Held(person=named)
        link = links.of_account(sql, account)
        return None if link is None else Held(person=link.person, since=link.at)

    def voice(self, tx: Tx, ask: Ask) -> Voice:
        """Whoever asks, as they are to be known again later."""
        settled = {account for account, whose in self._people.accounts.items() if whose == ask.by.id}
        linked = {(one.place, one.account) for one in links.of_person(tx.sql, ask.by.id)}
        own = as_settled(ask.place, ask.account)
        return Voice(
            person=ask.by.id,
            place=ask.place,
            account=ask.account,
            at=tx.now,
            had=frozenset({own, *settled, *linked} if ask.account else settled | linked),
        )

    def tidy(self, tx: Tx) -> None:
        """End what the settings have overruled: links of people who are gone, of accounts that they name themselves.

        Left alone, they would come alive again with the next person who is given that id.
        """
        for link in links.overruled(tx, self._people.persons.keys(), self._people.accounts.keys()):
            links.end(tx, link)
            said = f"{link.place} {link.account} is {link.person}'s no longer: the settings say otherwise."
            _record_ended(tx, said, link)
        self._end_unvouched(tx)

    def _end_unvouched(self, tx: Tx) -> None:
        """End links that were made from an account which is the person's no longer, and those that such links made."""
        while ended := [one for one in links.everyone(tx) if self._holder(tx.sql, one.voucher) != one.person]:
            for link in ended:
                links.end(tx, link)
                account = f"{link.place} {link.account}"
                said = f"{account} is {link.person}'s no longer: nor is {link.by}, by which it was linked."
                _record_ended(tx, said, link)

    def issue(self, tx: Tx, ask: Ask) -> Reply:
        if not ask.private:
            raise Rejected(people.IN_PRIVATE, code="not_private")
        if ask.by.id not in self._people.persons:
            return Reply(said=people.how_to_link(ask.place, ask.account), ok=False)
        code = people.code_of(secrets.token_bytes(people.CODE_BYTES))
        until = tx.now + people.CODE_LASTS
        issued = Issued(person=ask.by.id, place=ask.place, account=ask.account, until=until, spent=False)
        links.put_code(tx, people.sealed(code), issued)
        said = (
            f"/link {code}\n"
            f"Send that line to the bot from your other account, in private, before {until:%H:%M} UTC"
            f"{self._typed}. It works once. Whoever sends it is you from then on: show it to nobody."
        )
        return Reply(said=said, secret=True)

    def redeem(self, tx: Tx, ask: Ask, code: str) -> Reply:
        """A refusal is stored too (a wrong code is counted), so it is a reply and no exception."""
        sealed = people.sealed(code)
        issued = links.code(tx, sealed)
        refused = people.refusal(issued, self._circumstances(tx, ask, issued), self._people.persons)
        if refused is not None:
            return self._refuse(tx, ask, sealed, refused)
        assert issued is not None, "no code, no link"
        by = f"{issued.place} {issued.account}"
        links.put(tx, Link(place=ask.place, account=ask.account, person=issued.person, at=tx.now, by=by))
        links.spend(tx, sealed, _word_of(tx, ask))
        said = f"{ask.place} {ask.account} is {issued.person}'s from now on, by a code that {by} asked for."
        _record(tx, ask, Code.LINKED, said, issued.person)
        who = self._people.persons[issued.person]
        return Reply(said=f"This account ({ask.place}: {ask.account}) is {who.called}'s from now on.")

    def unlink(self, tx: Tx, ask: Ask, place: str) -> Reply:
        ended = next((one for one in links.of_person(tx.sql, ask.by.id) if one.place == place), None)
        if ended is None:
            raise Rejected(self._why_not_linked(ask.by.id, place), code="no_link")
        links.end(tx, ended)
        _record(tx, ask, Code.UNLINKED, f"{place} {ended.account} is {ended.person}'s no longer.", ended.person)
        self._end_unvouched(tx)
        return Reply(said=f"The {place} account {ended.account} is yours no longer. What it waited for is void.")

    def whoami(self, tx: Tx, ask: Ask) -> Sequence[str]:
        groups = self._groups_of(tx.sql, ask.by.id)
        platform = self._groups.called if self._groups else ""
        return people.told(ask.by, self._people, links.of_person(tx.sql, ask.by.id), groups, platform)

    def words_for(self, tx: Tx, ask: Ask) -> list[str]:
        """What the asker's account has still to be told."""
        if not ask.account:
            return []
        return [
            *links.take_words(tx, (ask.place, ask.account)),
            *notices.take_words(tx, as_settled(ask.place, ask.account)),
        ]

    def _circumstances(self, tx: Tx, ask: Ask, issued: Issued | None) -> Redeeming:
        account = (ask.place, ask.account)
        return Redeeming(
            place=ask.place,
            account=ask.account,
            own=ask.place in self._places,
            private=ask.private,
            now=tx.now,
            tries=links.tries(tx, account),
            holder=self._holder(tx.sql, account),
            has=self._account_of(tx.sql, issued.person, ask.place) if issued else None,
            vouches=self._holder(tx.sql, as_settled(issued.place, issued.account)) if issued else None,
        )

    def _holder(self, sql: Sql, account: Account) -> str | None:
        held = self.held(sql, account)
        return None if held is None else held.person

    def _account_of(self, sql: Sql, person: str, place: str) -> str | None:
        linked = (one.account for one in links.of_person(sql, person) if one.place == place)
        return self._people.account_of(person, place) or next(linked, None)

    def _refuse(self, tx: Tx, ask: Ask, sealed: str, refused: Refusal) -> Reply:
        issued = links.code(tx, sealed)
        account = (ask.place, ask.account)
        if refused.tried:
            links.put_tries(tx, account, links.tries(tx, account) + 1, lasting=people.LOCKED_FOR)
        if refused.spends:
            where = f"your linking code was sent by {ask.place} {ask.account} ({refused.why}) and is void"
            links.spend(tx, sealed, f"At {tx.now:%H:%M} UTC {where}.")
        said = f"{ask.place} {ask.account} was not linked: {refused.why}."
        _record(tx, ask, Code.NOT_LINKED, said, issued.person if issued else "")
        return Reply(said=refused.said, ok=False)

    def _why_not_linked(self, person: str, place: str) -> str:
        if self._people.account_of(person, place) is not None:
            return f"Your {place} account is in the settings; only an admin can take it out. Nothing was done."
        return f"You have linked no {place[:40]!r} account. Nothing was done. `whoami` lists your accounts."

    def _with_groups(self, sql: Sql, who: Principal) -> Principal:
        by_groups = people.roles_by_groups(self._people, self._groups_of(sql, who.id))
        return replace(who, roles=who.roles | by_groups)

    def _groups_of(self, sql: Sql, person: str) -> Mapping[str, bool | None]:
        """Empty for somebody without an account on that platform, and where there is none."""
        if self._groups is None or not self._people.groups:
            return {}
        account = self._account_of(sql, person, self._groups.place)
        return self._groups.read(account) if account else {}


def _word_of(tx: Tx, ask: Ask) -> str:
    return (
        f"Since {tx.now:%Y-%m-%d %H:%M} UTC the {ask.place} account {ask.account} is yours."
        f" If that was not you, say `unlink {ask.place}` and tell your security contact."
    )


def _record_ended(tx: Tx, said: str, link: Link) -> None:
    ledger.record(tx, [AuditEntry(code=Code.UNLINKED, by="bot", said=said, verb="unlink", target=link.person)])


def _record(tx: Tx, ask: Ask, code: Code, said: str, person: str) -> None:
    """`person`: whose accounts it is about; "" where nobody knows."""
    entry = AuditEntry(
        code=code,
        by=ask.by.id or f"{ask.place}:{ask.account}",
        said=said,
        verb="unlink" if code is Code.UNLINKED else "link",
        target=person,
        place=ask.place,
        account=ask.account,
        once=ask.once,
    )
    ledger.record(tx, [entry])
