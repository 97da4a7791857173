"""Logging to stderr, one line for each event: JSON for machines, plain text for a person at a terminal.

Text from outside cannot start a new line, and every text is redacted before it is written: first the configured
secrets, then everything that looks like one. Pure code does not log.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO
from urllib.parse import quote

from bot.lib.redact import REDACTED, redact
from bot.lib.terminal import printable

_RECORD_FIELDS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "color_message",
}
_FIXED = frozenset({"time", "level", "logger", "message", "exc"})
_MIN_SECRET = 4  #: a shorter one would redact ordinary words
_MAX_DEPTH = 8

#: Packages that log at INFO. Other packages log too much at that level, some of it URLs with tokens, or bodies.
_OWN = ("bot", "commands")

_logger = logging.getLogger(__name__)


def start(*, confidential: Collection[str] = (), stream: TextIO | None = None) -> None:
    """Send all logging, warnings and uncaught exceptions of this process to `stream`, by default stderr.

    `confidential`: secrets that must never appear, whatever they look like.
    """
    out = stream or sys.stderr
    scrub = Redactor(confidential)
    sink = logging.StreamHandler(out)
    sink.setFormatter(TextLines(scrub) if out.isatty() else JsonLines(scrub))
    logging.basicConfig(level=logging.WARNING, handlers=[sink], force=True)
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def guard() -> None:
    """For commands that do not log: make tracebacks and warnings of libraries safe for a terminal."""
    sys.excepthook = _log_uncaught
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(TextLines(Redactor()))


class Redactor:
    """Redacts secrets in a text."""

    def __init__(self, confidential: Collection[str] = ()) -> None:
        known = {form for secret in confidential if len(secret) >= _MIN_SECRET for form in _forms(secret)}
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        return redact(self._known.sub(REDACTED, text) if self._known else text)


class JsonLines(logging.Formatter):
    """A record as one JSON object in ASCII: the fixed keys, `extra` beside them, and an exception as one string."""

    def __init__(self, scrub: Redactor) -> None:
        super().__init__()
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._scrub(_message_of(record)),
        }
        if exc := _exception_of(self, record):
            line["exc"] = self._scrub(exc)
        for key, value in _extras_of(record):
            line[f"{key}_" if key in _FIXED else key] = _clean(value, self._scrub)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """A record for a person: time, level, message, extras; the lines of a traceback are indented."""

    def __init__(self, scrub: Redactor) -> None:
        super().__init__()
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f"  {key}={_clean(value, self._scrub)}" for key, value in _extras_of(record))
        message = printable(self._scrub(_message_of(record)) + extras)
        text = f"{_time_of(record)[11:19]} {record.levelname:<8} {message}"
        exc = _exception_of(self, record)
        rows = self._scrub(exc).splitlines() if exc else ()
        return "\n".join((text, *(f"    {printable(row)}" for row in rows)))


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, and as it is quoted in a URL."""
    return (secret, quote(secret), quote(secret, safe=""))


def _time_of(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message_of(record: logging.LogRecord) -> str:
    """The message. If its arguments do not fit, template and arguments, so that the line is not lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _exception_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Formatted here: another formatter may have cached an unredacted `record.exc_text`."""
    traced = formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
    stack = formatter.formatStack(record.stack_info) if record.stack_info else ""
    return "\n".join(filter(None, (traced, stack)))


def _extras_of(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _RECORD_FIELDS)


def _clean(value: object, scrub: Redactor, depth: int = 0) -> object:
    """The value in JSON's types, with every text redacted."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {scrub(str(key)): _clean(item, scrub, depth + 1) for key, item in value.items()}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, scrub, depth + 1) for item in value]
    return scrub(str(value))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _logger.critical("unexpected error, the process ends", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    name = args.thread.name if args.thread else "?"
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    _logger.critical("unexpected error, the thread ended", extra={"thread_name": name}, exc_info=exc_info)
