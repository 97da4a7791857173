"""Files that Velero keeps about a backup or restore in its object storage, fetched by a DownloadRequest.

The trap: the address is that of the object storage as Velero knows it, often a name inside the cluster. Where the bot
cannot reach it, nothing is known about a backup's volumes, and it is not usable for the bot.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from datetime import timedelta
from http import HTTPStatus

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject
from bot.integrations.http import HttpApi
from bot.integrations.kubernetes.resources import status_of
from bot.integrations.velero.site import BACKUP, DOWNLOAD, LOCATION, RESTORE, VeleroSite

_MOST_PACKED, _MOST_UNPACKED = 16 * 1024 * 1024, 128 * 1024 * 1024
#: Velero processes a request within seconds where it is not busy.
_PATIENCE, _POLL = timedelta(seconds=45), timedelta(seconds=1)


def fetch(site: VeleroSite, target: str, name: str) -> object:
    """The decoded JSON of that file, such as "BackupVolumeInfos" of a backup.

    Raises:
        Rejected: it cannot be had now; the text says which part did not answer.
    """
    packed = _api(_address(site, target, name), _ca(site, target, name)).download()
    try:
        return json.loads(_unpacked(packed))
    except (ValueError, zlib.error):
        message = f"Velero's file {target} of {name} cannot be read: it is no JSON in gzip. Nothing was done."
        raise Rejected(message, code="unreadable", status=HTTPStatus.BAD_GATEWAY) from None


def _address(site: VeleroSite, target: str, name: str) -> str:
    request = f"vakhta-{uuid.uuid4().hex[:12]}"
    spec = {"target": {"kind": target, "name": name}}
    try:
        made = site.cluster.create(
            DOWNLOAD, site.where.namespace, {"metadata": {"name": request}, "spec": spec}, by="vakhta"
        )
    except OutcomeUnknown as unknown:
        raise Rejected(f"{unknown.message} Nothing was done.", code="no_answer", status=502) from None
    try:
        return _answered(site, request, f"{target} of {name}")
    finally:
        _drop(site, request, made)


def _answered(site: VeleroSite, request: str, what: str) -> str:
    until = site.now() + _PATIENCE
    while True:
        found = site.get(DOWNLOAD, request)
        if found is not None and (address := status_of(found).get("downloadURL")):
            return str(address)
        if site.now() >= until:
            break
        site.pause(_POLL)
    message = (
        f"Velero gave no address for its file {what} within {_PATIENCE.seconds} s. Nothing was done."
        " Check that Velero runs and reaches its object storage."
    )
    raise Rejected(message, code="no_answer", status=HTTPStatus.GATEWAY_TIMEOUT)


def _drop(site: VeleroSite, request: str, made: KubernetesObject) -> None:
    """Velero removes it after ten minutes in any case."""
    try:
        site.cluster.delete(site.ref(DOWNLOAD, request), uid=made["metadata"]["uid"])
    except (Conflict, OutcomeUnknown, Rejected):
        return


def _ca(site: VeleroSite, target: str, name: str) -> str:
    """The certificate authority of the object storage, as PEM; "" where the usual ones do."""
    if target.startswith("Restore"):
        restore = site.get(RESTORE, name)
        name = str((restore or {}).get("spec", {}).get("backupName") or "")
    backup = site.get(BACKUP, name) if name else None
    location = site.get(LOCATION, str((backup or {}).get("spec", {}).get("storageLocation") or "default"))
    encoded = ((location or {}).get("spec", {}).get("objectStorage") or {}).get("caCert")
    try:
        return base64.b64decode(encoded or "").decode()
    except ValueError:
        return ""


def _api(address: str, ca: str) -> HttpApi:
    called = "The object storage of Velero, as seen from the bot,"
    return HttpApi(address, called=called, timeout=timedelta(seconds=15), most=_MOST_PACKED, ca=ca)


def _unpacked(packed: bytes) -> bytes:
    """Raises `ValueError` where it would be too large."""
    unpacker = zlib.decompressobj(wbits=31)
    whole = unpacker.decompress(packed, _MOST_UNPACKED)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("too large, or cut off")
    return whole
