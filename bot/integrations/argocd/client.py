"""Argo CD by its REST API: an application as it stands, and what is started, changed or ended of it.

Held to 2.6 and later. Two traps. For an application that is not there Argo CD answers 403, as for one that the token
may not see, so that strangers learn nothing. And a JSON patch whose test fails is answered 500, although nothing was
done.
https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote, urlencode

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject
from bot.integrations.argocd.settings import ArgoCdSettings
from bot.integrations.http import HttpApi

_CALLED = "Argo CD"
_PATIENCE = timedelta(seconds=10)
#: What it refuses because the application is not as somebody thought: its own words, in its sources.
_MOVED = (
    "auto-sync is enabled",
    "another operation is already in progress",
    "application is deleting",
    "does not have deployment id",
    "No operation is in progress",
)
_UNFIT = "error applying patch"


class ArgoCdClient:
    """`section` has an address and a token."""

    def __init__(self, section: ArgoCdSettings) -> None:
        assert section.url is not None, "without an address there is nobody to ask"
        self._api = HttpApi(f"{section.url.rstrip('/')}/api/v1", called=_CALLED, token=section.token, timeout=_PATIENCE)

    def application(self, name: str, namespace: str = "") -> KubernetesObject | None:
        query = [("appNamespace", namespace)] if namespace else []
        try:
            told = self._api.get("GET", f"/applications/{quote(name, safe='')}", query=query)
        except Rejected as refused:
            if refused.code == "not_found" or (refused.code == "no_entry" and "(403)" in refused.message):
                return None
            raise
        if not isinstance(told, dict) or not isinstance(told.get("metadata"), dict):
            raise _strange()
        return told

    def roll_back(self, application: KubernetesObject, number: int) -> None:
        body = {"id": number, "dryRun": False, "prune": False}
        self._change("POST", f"{_path(application)}/rollback", {**_named(application), **body})

    def patch(self, application: KubernetesObject, patch: object) -> None:
        body = {"patch": json.dumps(patch), "patchType": "json"}
        self._change("PATCH", _path(application), {**_named(application), **body})

    def terminate(self, application: KubernetesObject) -> None:
        where = {name: value for name, value in _named(application).items() if name != "name"}
        self._change("DELETE", f"{_path(application)}/operation?{urlencode(where)}", None)

    def _change(self, verb: str, path: str, body: object) -> None:
        try:
            self._api.send(verb, path, body=body)
        except Rejected as refused:
            if any(one in refused.message for one in _MOVED):
                raise Conflict(refused.message.removesuffix(" Nothing was done.")) from None
            raise
        except OutcomeUnknown as unsure:
            if _UNFIT in unsure.message:
                raise Conflict("the application was changed meanwhile") from None
            raise


def _path(application: KubernetesObject) -> str:
    return f"/applications/{quote(application['metadata']['name'], safe='')}"


def _named(application: KubernetesObject) -> Mapping[str, str]:
    """Which application is meant; with its project, so that one that is gone is told apart from one not to be seen."""
    meta = application["metadata"]
    project = str((application.get("spec") or {}).get("project") or "default")
    return {"name": meta["name"], "appNamespace": meta["namespace"], "project": project}


def _strange() -> Rejected:
    message = f"{_CALLED} answered what its API does not say. Nothing was done. Is its url the address of an Argo CD?"
    return Rejected(message, code="unreadable", status=HTTPStatus.BAD_GATEWAY)
