"""A transport that sends an answer's head together with its body.

uvicorn writes them one after the other, and each write to a socket is a call into the kernel that wakes the peer: the
second was a tenth of what a webhook costs the web's thread.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseProtocol, Transport

_HEAD = b"HTTP/1.1 "


class Cork(Transport):
    """Holds a head back until the next write, or until the loop's next turn. All else is the transport's own."""

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._held:
            data, self._held = self._held + bytes(data), b""
        elif data[: len(_HEAD)] == _HEAD:
            self._held = bytes(data)
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def send(self, whole: bytes) -> None:
        """An answer that is all there."""
        self._flush()
        self._transport.write(whole)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)
