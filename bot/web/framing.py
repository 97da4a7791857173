"""Finds where a request begins and ends: h11 parses only requests that every program would parse in the same way.

A proxy in front of the bot has parsed the same bytes. If the two could find different requests in them, a sender could
get a request past the proxy's checks (request smuggling). So everything that the specification calls obsolete, optional
or an error is refused, and the connection is closed. `Upgrade` is ignored, as HTTP/1.1 allows: the body is read by its
declared length.
"""

from __future__ import annotations

import re

import h11

MOST_HEAD = 32 * 1024
MOST_FIELDS = 100  #: each costs h11 some microseconds, and 8,000 empty fields fit into a head
#: Of one connection in one iteration of the loop. Even a tiny chunk costs h11 some 15 us, and others wait.
_EVENTS_AT_ONCE = 64

_TOO_LONG = 431  #: h11's status hint when a head, a chunk header or trailers exceed its limit

NOT_HTTP = "This is not a valid HTTP request. Nothing was done."
TOO_LARGE = "The head of a request holds at most 32 KiB and 100 fields. Nothing was done."
TRAILERS = "A chunk header or the trailers may have at most 32 KiB. Nothing was done."
HOSTS = "Send one Host header with a name and, if needed, a port. Nothing was done."
LENGTHS = (
    "This is not a valid HTTP request: send one Content-Length of digits, or Transfer-Encoding: chunked over HTTP/1.1."
    " Nothing was done."
)
TWICE = "This is not a valid HTTP request: it repeats a header that may appear once. Nothing was done."

HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
#: RFC 9112 without absolute targets, folded lines, bare LF or CR, space before a colon, and control characters.
_HEAD = re.compile(
    rb"(" + _TOKEN + rb"{1,32}) (/[!-~]*) HTTP/1\.([01])((?:\r\n" + _TOKEN + rb"+:[\t\x20-\x7e\x80-\xff]*)*)"
)
_BEGINS = re.compile(_TOKEN)
_LENGTH = re.compile(rb"[0-9]{1,15}")
#: Fields about the sender, the length and the encoding. Of two such fields, programs differ in which one they use.
_ONCE = frozenset(
    {
        b"host",
        b"authorization",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"content-encoding",
        b"expect",
        b"origin",
    }
)
#: Old load balancers probe with HTTP/1.0 and without Host.
_PROBES = frozenset({b"/livez", b"/readyz"})


def fault_of(head: bytes) -> str | None:
    """Why a head (without its final empty line) is refused. None: every program reads it in the same way."""
    found = _HEAD.fullmatch(head)
    if found is None or found[1] == b"CONNECT":
        return NOT_HTTP
    lines = found[4].split(b"\r\n")[1:]
    if len(lines) > MOST_FIELDS:
        return TOO_LARGE
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _ONCE:
            continue
        if name in fields:
            return HOSTS if name == b"host" else TWICE
        fields[name] = value.strip(b" \t")
    old = found[3] == b"0"
    return _fault_of_length(fields, old=old) or _fault_of_host(fields, found[2], old=old)


def _fault_of_length(fields: dict[bytes, bytes], *, old: bool) -> str | None:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and (coding is not None or _LENGTH.fullmatch(length) is None):
        return LENGTHS
    if coding is not None and (old or coding.lower() != b"chunked"):
        return LENGTHS
    return None


def _fault_of_host(fields: dict[bytes, bytes], target: bytes, *, old: bool) -> str | None:
    host = fields.get(b"host")
    if host is None:
        return None if old and target.partition(b"?")[0] in _PROBES else HOSTS
    return None if HOST.fullmatch(host) else HOSTS


def has_bare_lf(end: bytes) -> bool:
    """Whether the end of a chunked body (last chunk, trailers) has an LF without CR, which h11 takes for a line end."""
    # The LF that ends the content may arrive after its CR. That first LF is not bare, unless nothing follows it.
    rest = end[1:] if len(end) > 1 and end.startswith(b"\n") else end
    return rest.count(b"\n") > rest.count(b"\r\n")


class StrictParser(h11.Connection):
    """Parses a connection's requests, one at a time. h11 gets a head only if `fault_of` finds nothing wrong with it."""

    fault = NOT_HTTP  #: why the request was refused
    waits = False  #: a head has begun and is incomplete
    is_spent = False  #: the limit of this iteration is used up, and there is more to read: call `grant` and go on
    paused = False  #: received data waits until the current request is done
    in_body = False  #: the last byte belonged to a body
    _left = _EVENTS_AT_ONCE
    _in_chunks = False

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MOST_HEAD)

    def grant(self) -> None:
        """Start a new iteration of the loop."""
        self._left, self.is_spent = _EVENTS_AT_ONCE, False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """As in h11. Raises RemoteProtocolError; `fault` then holds the message."""
        self.in_body = self.their_state is h11.SEND_BODY
        event = self._next_event()
        self.paused = event is h11.PAUSED
        return event

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        if self.their_state is h11.IDLE and not self._is_head_complete():
            return h11.NEED_DATA
        if self.their_state is h11.MUST_CLOSE:
            return h11.PAUSED  # data after the last request is ignored; h11 would refuse the request for it
        if not self._left:
            self.is_spent = True
            return h11.PAUSED
        self._left -= 1
        before = self.trailing_data[0] if self._in_chunks else b""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as refused:
            self.fault = TRAILERS if refused.error_status_hint == _TOO_LONG else NOT_HTTP
            raise
        if isinstance(event, h11.Request):
            self._in_chunks = any(name == b"transfer-encoding" for name, _ in event.headers)
        elif isinstance(event, h11.EndOfMessage) and has_bare_lf(before[: len(before) - len(self.trailing_data[0])]):
            self._refuse(NOT_HTTP)
        return event

    def _is_head_complete(self) -> bool:
        read, _ = self.trailing_data
        end = read.find(b"\r\n\r\n")
        self.waits = end < 0 and bool(read)
        if end > MOST_HEAD or (end < 0 and len(read) > MOST_HEAD):
            self._refuse(TOO_LARGE)
        if end >= 0 and (reason := fault_of(read[:end])):
            self._refuse(reason)
        # Probably TLS, or lines that end in LF alone: the sender has sent everything and waits for an answer.
        if self.waits and (_BEGINS.match(read) is None or read.count(b"\n") > read.count(b"\r\n")):
            self._refuse(NOT_HTTP)
        return end >= 0

    def _refuse(self, reason: str) -> None:
        self.fault = reason
        raise h11.RemoteProtocolError(reason)
