"""Which key may have signed what: those that are named, and those that they vouch for, each for its time.

A checkpoint with the lines `from KEY` and `to KEY` hands over, where both keys have signed it. It counts when one of
the two is believed already: who believes the old one believes the new one from there on, and who believes the new one
believes the old one up to there. Beyond its time a key that was handed over is worth nothing, also one that is named.
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
    """A checkpoint over `size` entries in which one key hands over to another; whether it counts is another matter."""

    size: int
    old: VerifierKey
    new: VerifierKey


class KeyTrust:
    """`named` are believed by who asks; `notes` are all checkpoints that may hand over, in the order of their sizes."""

    def __init__(self, named: Sequence[VerifierKey], notes: Iterable[bytes], verify: Verify) -> None:
        self._verify = verify
        self._spans = {key.id: _Span(key=key) for key in named}
        firsts: dict[str, Handover] = {}
        for note in notes:
            if (one := self._made(note)) is not None:
                firsts.setdefault(one.old.id, one)  # whoever steals an old key must not hand over from it once more
        self.handovers = self._counting(list(firsts.values()))  #: those that count

    def signer(self, note: SignedNote) -> VerifierKey | None:
        """Who of the believed signed it; None where nobody did. A false signature in a known name spoils the others."""
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
            return f"is to hand over from {old!a} to {new!a}, and not both have signed it, or neither is believed"
        for name in note.signatures:
            span = self._spans.get(name)
            if span is None:
                continue
            if note.size > span.until:
                return f"is of {name!a}, which was handed over at {span.until} entries"
            if note.size < span.since:
                return f"is of {name!a}, which was taken up at {span.since} entries"
            return "is not of the key it names"
        names = ", ".join(note.signatures)
        return f"is of an unknown key, {names!a}: it is not named, and none that is believed has handed over to it"

    def _made(self, raw: bytes) -> Handover | None:
        """What that note hands over, where both keys have signed it."""
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
        """By the whole key: four bytes of a hash are soon found a second time."""
        span = self._spans.get(key.id)
        return span is not None and span.key == key and span.covers(size)


def may_hand_over(note: bytes) -> bool:
    """Whether it is worth reading for that."""
    return _MARK in note


def handover_of(note: SignedNote) -> Handover | None:
    """What it says of a change of keys, None where that is nothing; its signatures are not looked at."""
    message = [line.partition(" ") for line in note.extensions]
    old = [rest for word, _, rest in message if word == "from"]
    new = [rest for word, _, rest in message if word == "to"]
    if len(old) != 1 or len(new) != 1:
        return None
    try:
        return Handover(size=note.size, old=key_of(old[0]), new=key_of(new[0]))
    except MalformedNote:
        return None
