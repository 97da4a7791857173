"""Where a request begins and ends: read by h11 alone, and only where no other program could read anything else.

A proxy in front of us has read the same bytes. Where it and we could find two different requests in them, somebody
can send one that nobody has checked (request smuggling). So whatever the specification calls obsolete, optional or an
error is refused here and the connection is closed. `Upgrade` is ignored, which HTTP/1.1 allows: the body is read as
its length says.
"""

from __future__ import annotations

import re

import h11

MOST_HEAD = 32 * 1024
MOST_FIELDS = 100  #: each costs h11 some microseconds, and 8,000 empty ones fit in a head
#: Of one connection in one turn of the loop. A chunk costs h11 some 15 us however small it is, and others wait.
_EVENTS_AT_ONCE = 64

_TOO_LONG = 431  #: h11's hint for more in one piece than it is to hold

NOT_HTTP = "This is not a valid HTTP request. Nothing was done."
TOO_LARGE = "The head of a request holds at most 32 KiB and 100 fields. Nothing was done."
TRAILERS = "A body may hold at most 32 KiB that is not content, one after the other. Nothing was done."
HOSTS = "Send one Host header with a name and, if need be, a port. Nothing was done."
LENGTHS = (
    "This is not a valid HTTP request: send one Content-Length of digits, or Transfer-Encoding: chunked over HTTP/1.1."
    " Nothing was done."
)
TWICE = "This is not a valid HTTP request: it has two headers of which there can be one. Nothing was done."

HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
#: RFC 9112 without absolute targets, folded lines, bare LF or CR, space before a colon, and control characters.
_HEAD = re.compile(
    rb"(" + _TOKEN + rb"{1,32}) (/[!-~]*) HTTP/1\.([01])((?:\r\n" + _TOKEN + rb"+:[\t\x20-\x7e\x80-\xff]*)*)"
)
_BEGINS = re.compile(_TOKEN)
_LENGTH = re.compile(rb"[0-9]{1,15}")
#: Who says it, how long it is and how it is to be read: of two such fields each program takes another one.
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
#: Old probes of balancers speak HTTP/1.0 and name no host.
_PROBES = frozenset({b"/livez", b"/readyz"})


def fault_of(head: bytes) -> str | None:
    """Why a head, without the empty line that ends it, is refused. None: everybody reads it in the same way."""
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
    """In what ends a body of chunks: the last of them, and trailers. h11 would take it for the end of a line."""
    # The LF that ended the content may have come later than its CR. One LF alone is no such: more has to follow that.
    rest = end[1:] if len(end) > 1 and end.startswith(b"\n") else end
    return rest.count(b"\n") > rest.count(b"\r\n")


class StrictParser(h11.Connection):
    """A connection's requests, one at a time: h11 sees a head when `fault_of` has found nothing in it."""

    fault = NOT_HTTP  #: said of the request that was refused
    waits = False  #: a head has begun and is not all here
    is_spent = False  #: there is more to read than one turn of the loop is given: call `grant` and go on
    paused = False  #: what is here already is not read before something else is done
    in_body = False  #: the last byte belonged to one
    _left = _EVENTS_AT_ONCE
    _in_chunks = False

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MOST_HEAD)

    def grant(self) -> None:
        """A new turn of the loop."""
        self._left, self.is_spent = _EVENTS_AT_ONCE, False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """As h11's. Raises RemoteProtocolError, and `fault` says it in words."""
        self.in_body = self.their_state is h11.SEND_BODY
        event = self._next_event()
        self.paused = event is h11.PAUSED
        return event

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        if self.their_state is h11.IDLE and not self._is_head_here():
            return h11.NEED_DATA
        if self.their_state is h11.MUST_CLOSE:
            return h11.PAUSED  # what follows the last request is nobody's; h11 would refuse the request for it
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

    def _is_head_here(self) -> bool:
        read, _ = self.trailing_data
        end = read.find(b"\r\n\r\n")
        self.waits = end < 0 and bool(read)
        if end > MOST_HEAD or (end < 0 and len(read) > MOST_HEAD):
            self._refuse(TOO_LARGE)
        if end >= 0 and (reason := fault_of(read[:end])):
            self._refuse(reason)
        # TLS, most likely, or lines that end in LF alone. Whoever sends that has sent all and waits for an answer.
        if self.waits and (_BEGINS.match(read) is None or read.count(b"\n") > read.count(b"\r\n")):
            self._refuse(NOT_HTTP)
        return end >= 0

    def _refuse(self, reason: str) -> None:
        self.fault = reason
        raise h11.RemoteProtocolError(reason)
