"""What a program printed: bounded, and without its secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

from bot.lib.redact import REDACTED, redact

_CHUNK = 64 * 1024
_TAIL = 16 * 1024
_MOST_LINES, _MOST_CHARS = 40, 4000
#: A shorter secret is likely to be a word of the message.
_SHORTEST = 4


class Output:
    """One pipe, read to its end by a thread. Without `most`, only its last bytes are kept."""

    def __init__(
        self, pipe: IO[bytes] | None, *, most: int | None = None, on_overflow: Callable[[], None] = lambda: None
    ) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._most = most
        self._on_overflow = on_overflow
        self._kept = bytearray()
        self._lock = threading.Lock()
        self.overflow = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def kept(self) -> bytes:
        with self._lock:
            return bytes(self._kept)

    def tail(self) -> str:
        return self.kept()[-_TAIL:].decode(errors="replace")

    def finish(self, patience_s: float) -> None:
        """Wait for the end of the pipe, which another process may hold open."""
        self._thread.join(patience_s)

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while chunk := self._pipe.read1(_CHUNK):  # type: ignore[attr-defined]  # a BufferedReader
                self._take(chunk)
        with suppress(OSError):
            self._pipe.close()

    def _take(self, chunk: bytes) -> None:
        with self._lock:
            self._kept += chunk
            if self._most is None:
                del self._kept[: -2 * _TAIL]
            elif len(self._kept) > self._most:
                del self._kept[self._most :]
                self.overflow = True
        if self.overflow:
            self._on_overflow()


def said(text: str, secrets: Mapping[str, str]) -> str:
    """The last lines of what a program said, without these secrets, or others that can be known as such."""
    for secret in secrets.values():
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, REDACTED)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return redact("\n".join(lines[-_MOST_LINES:])[-_MOST_CHARS:])
