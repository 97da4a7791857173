"""What was found, for people and for programs, and the exit code that it comes to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum


class LogFault(IntEnum):
    """What is wrong with a log. The number is the exit code; of several, the lowest is the gravest."""

    FLAGGED = 0  #: worth a look, and nothing wrong
    ALTERED = 2
    MISSING = 3
    TRUNCATED = 4
    UNSIGNED = 5
    UNSEALED = 6
    UNENDED = 7
    UNANCHORED = 8


FAULT_MEANINGS = {
    LogFault.FLAGGED: "flagged",
    LogFault.ALTERED: "altered",
    LogFault.MISSING: "missing",
    LogFault.TRUNCATED: "truncated",
    LogFault.UNSIGNED: "bad signature",
    LogFault.UNSEALED: "not sealed",
    LogFault.UNENDED: "no outcome",
    LogFault.UNANCHORED: "anchors not whole",
}
#: So many of each kind are told one by one; the others are counted.
_MOST = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was found."""

    fault: LogFault
    message: str
    pos: int | None = None  #: the position in the log where it begins, None where it has none
    expected: str = ""  #: what should stand there: the hash that was sealed, signed or anchored
    found: str = ""


@dataclass(kw_only=True)
class VerificationReport:
    """Grows while the log is walked."""

    name: str
    believed: Sequence[str] = ()  #: the verifier keys that were
    handovers: Sequence[str] = ()  #: which key has vouched for which, and from where on
    pinned: bool = True  #: whether they were given by who asks, and not by the settings that the bot itself runs on
    sealed: int = 0  #: with those that were pruned
    pruned: int = 0  #: how many of the first are not here, and are said to be elsewhere
    unsealed: int = 0
    checkpoints: int = 0
    anchors: int = 0
    anchored: int = 0  #: how far the largest of them reaches
    root: str = ""  #: base64, over all that is sealed; "" where a gap makes it unknowable
    signed: int = 0  #: how far the last good checkpoint reaches
    signed_at: str = ""
    newest: str = ""  #: when the last sealed entry was written
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[LogFault] = field(default_factory=Counter)

    def add(
        self, fault: LogFault, message: str, *, pos: int | None = None, expected: str = "", found: str = ""
    ) -> None:
        self.counts[fault] += 1
        if self.counts[fault] <= _MOST:
            self.findings.append(Finding(fault=fault, message=message, pos=pos, expected=expected, found=found))

    @property
    def exit_code(self) -> int:
        return min((int(fault) for fault in self.counts if fault), default=0)

    def text_lines(self) -> str:
        """For people: the verdict first, then each finding, then what it rests on."""
        verdict = FAULT_MEANINGS[LogFault(self.exit_code)].upper() if self.exit_code else "as it was written"
        ordered = sorted(self.findings, key=lambda one: one.fault or max(LogFault) + 1)
        lines = [f"{self.name}: {verdict} (exit code {self.exit_code})"]
        for one in ordered:
            lines += _lines(one)
        lines += [
            f"  and {count - _MOST:,} more: {FAULT_MEANINGS[fault]}"
            for fault, count in self.counts.items()
            if count > _MOST
        ]
        return "\n".join([*lines, *self._rests_on()]) + "\n"

    def json(self) -> str:
        """For programs, one object."""
        findings = [
            {"fault": FAULT_MEANINGS[one.fault], "code": int(one.fault), "pos": one.pos, "said": one.message}
            | ({"expected": one.expected, "found": one.found} if one.expected or one.found else {})
            for one in self.findings
        ]
        told = {
            "log": self.name,
            "ok": not self.exit_code,
            "exit_code": self.exit_code,
            "counts": {FAULT_MEANINGS[fault]: count for fault, count in sorted(self.counts.items())},
            "findings": findings,
            "sealed": self.sealed,
            "pruned": self.pruned,
            "unsealed": self.unsealed,
            "newest": self.newest,
            "root": self.root,
            "checkpoints": self.checkpoints,
            "signed": {"size": self.signed, "at": self.signed_at},
            "anchors": self.anchors,
            "anchored": self.anchored,
            "believed": list(self.believed),
            "handovers": list(self.handovers),
            "pinned": self.pinned,
        }
        return json.dumps(told, indent=2) + "\n"

    def _rests_on(self) -> list[str]:
        last = f", the last over {self.signed:,} entries at {self.signed_at}" if self.signed_at else ""
        lines = [
            f"{self.sealed:,} entries sealed, the last of {self.newest or 'no time'}; {self.unsealed:,} not yet sealed",
            f"{self.checkpoints:,} checkpoints{last}; {self._seen_outside()}",
            *(f"believed: {key}" for key in self.believed),
            *(f"handed over: {one}" for one in self.handovers),
        ]
        if not self.believed:
            lines.append("no key is believed; name one with --public-key")
        elif not self.pinned:
            lines.append(
                "that key is what the settings hold; whoever can change those can change it: --public-key pins it"
            )
        return lines

    def _seen_outside(self) -> str:
        if self.anchors:
            return f"{self.anchors:,} anchors from outside of the database, the last over {self.anchored:,} entries"
        return "no anchor was looked at (--anchors), so nothing would show that it was cut at its end"


def _lines(one: Finding) -> list[str]:
    where = "" if one.pos is None else f"position {one.pos}: "
    lines = [f"  {FAULT_MEANINGS[one.fault]}: {where}{one.message}"]
    if one.expected or one.found:
        lines += [f"    expected {one.expected}", f"    found    {one.found}"]
    return lines


def time_of(at: int) -> str:
    """Microseconds since 1970, to the second."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="seconds").replace("+00:00", "Z")
