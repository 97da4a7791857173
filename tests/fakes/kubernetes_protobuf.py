"""Secrets in Kubernetes' protobuf, in which clients of client-go write them, as the JSON that the fake knows.

A magic word, an Unknown (type, raw), and in it the Secret; of its metadata what a client may set.
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
https://github.com/kubernetes/api/blob/master/core/v1/generated.proto
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _BYTES = 0, 2
Fields = dict[int, list[Any]]


def as_json(body: bytes) -> bytes:
    """A Secret. Raises ValueError for anything else: nobody has needed it yet."""
    if not body.startswith(_MAGIC):
        raise ValueError("no protobuf of Kubernetes")
    unknown = _fields(body[len(_MAGIC) :])
    if _text(_fields(unknown[1][0]), 2) != "Secret":
        raise ValueError("only Secrets are read")
    secret = _fields(unknown[2][0])
    meta = _fields(secret[1][0])
    named = {"name": _text(meta, 1), "namespace": _text(meta, 3), "resourceVersion": _text(meta, 6)}
    told: dict[str, Any] = {name: value for name, value in named.items() if value}
    for number, name in ((11, "labels"), (12, "annotations")):
        if meta[number]:
            told[name] = {_text(pair, 1): _text(pair, 2) for pair in map(_fields, meta[number])}
    data = {_text(pair, 1): base64.b64encode(pair[2][0]).decode() for pair in map(_fields, secret[2])}
    return json.dumps({"kind": "Secret", "metadata": told, "data": data, "type": _text(secret, 3)}).encode()


def _text(fields: Fields, number: int) -> str:
    return bytes(fields[number][-1]).decode() if fields[number] else ""


def _fields(raw: bytes) -> Fields:
    found: Fields = defaultdict(list)
    for number, value in _read(raw):
        found[number].append(value)
    return found


def _read(raw: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        if tag & 7 == _VARINT:
            value, at = _varint(raw, at)
            yield tag >> 3, value
        elif tag & 7 == _BYTES:
            length, at = _varint(raw, at)
            yield tag >> 3, raw[at : at + length]
            at += length
        else:
            raise ValueError(f"no Secret has a field of wire type {tag & 7}")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return value, at
        shift += 7
