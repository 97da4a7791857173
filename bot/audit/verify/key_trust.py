"""Decides which key may have signed a checkpoint: the named keys and those that hand over to or from them.

A checkpoint with the lines `from KEY` and `to KEY`, signed by both keys, is a handover. It counts when one of the two
is trusted already: if the old key is trusted, the new one is trusted from there on; if the new key is trusted, the old
one is trusted up to there. A key that was handed over is not trusted beyond that point, even if it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.audit.verify.signed_note import MalformedNote, SignedNote, VerifierKey, Verify, key_of, read, signed_by

_ALWAYS = 1 << 63
_MARK = b"\nto "


@dataclass(kw_only=True, slots=True)
class _Span:
    key: VerifierKey
    since: int = 0
    until: int = _ALWAYS

    def covers(self, size: int) -> bool:
        return self.since <= size <= self.until


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """A checkpoint over `size` entries in which one key hands over to another. It need not count."""

    size: int
    old: VerifierKey
    new: VerifierKey


class KeyTrust:
    """`named`: the keys that the caller trusts; `notes`: all checkpoints that may be handovers, ordered by size."""

    def __init__(self, named: Sequence[VerifierKey], notes: Iterable[bytes], verify: Verify) -> None:
        self._verify = verify
        self._spans = {key.id: _Span(key=key) for key in named}
        firsts: dict[str, Handover] = {}
        for note in notes:
            if (one := self._made(note)) is not None:
                firsts.setdefault(one.old.id, one)  # a stolen old key must not hand over a second time
        self.handovers = self._counting(list(firsts.values()))  #: those that count

    def signer(self, note: SignedNote) -> VerifierKey | None:
        """The trusted key that signed it, or None. One invalid signature of a trusted key makes the others void."""
        known = [
            span.key
            for name in note.signatures
            if (span := self._spans.get(name)) is not None and span.covers(note.size)
        ]
        return known[0] if known and all(signed_by(key, note, self._verify) for key in known) else None

    def why_not(self, note: SignedNote) -> str:
        """What is wrong with its signature, where `signer` says None."""
        handover = handover_of(note)
        if handover is not None:
            old, new = handover.old.id, handover.new.id
            return f"hands over from {old!a} to {new!a}, but not both have signed it, or neither is trusted"
        for name in note.signatures:
            span = self._spans.get(name)
            if span is None:
                continue
            if note.size > span.until:
                return f"is of {name!a}, which was handed over at {span.until} entries"
            if note.size < span.since:
                return f"is of {name!a}, which is trusted only from {span.since} entries on"
            return "is not valid for the key that it names"
        names = ", ".join(note.signatures)
        return f"is of an unknown key, {names!a}: it is not named, and no trusted key has handed over to it"

    def _made(self, raw: bytes) -> Handover | None:
        """The handover in that note, if both keys have signed it."""
        try:
            note = read(raw)
        except MalformedNote:
            return None
        found = handover_of(note)
        if found is None or not all(signed_by(key, note, self._verify) for key in (found.old, found.new)):
            return None
        return found

    def _counting(self, made: Sequence[Handover]) -> list[Handover]:
        for one in made:
            if self._covers(one.old, one.size):
                self._join(one)
        for one in reversed(made):
            if self._covers(one.new, one.size):
                self._join(one)
        return [one for one in made if self._covers(one.old, one.size) and self._covers(one.new, one.size)]

    def _join(self, one: Handover) -> None:
        old = self._spans.setdefault(one.old.id, _Span(key=one.old))
        new = self._spans.setdefault(one.new.id, _Span(key=one.new))
        if (old.key, new.key) == (one.old, one.new):
            old.until = new.since = one.size

    def _covers(self, key: VerifierKey, size: int) -> bool:
        """Compares the whole key: another key with the same four bytes of hash is found quickly."""
        span = self._spans.get(key.id)
        return span is not None and span.key == key and span.covers(size)


def may_hand_over(note: bytes) -> bool:
    """Whether the note may be a handover, and so has to be parsed."""
    return _MARK in note


def handover_of(note: SignedNote) -> Handover | None:
    """The handover that it states, or None; its signatures are not verified here."""
    lines = [line.partition(" ") for line in note.extensions]
    old = [rest for word, _, rest in lines if word == "from"]
    new = [rest for word, _, rest in lines if word == "to"]
    if len(old) != 1 or len(new) != 1:
        return None
    try:
        return Handover(size=note.size, old=key_of(old[0]), new=key_of(new[0]))
    except MalformedNote:
        return None
