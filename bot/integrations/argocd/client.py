"""Argo CD by its REST API: reads an application, rolls it back, patches it, ends its operation.

Tested with 2.6 and later. Two traps. For an application that does not exist Argo CD answers 403, as for one that the
token may not see, so that it reveals nothing. And a JSON patch whose test fails is answered with 500, although nothing
was done.
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
_TIMEOUT = timedelta(seconds=10)
#: Its own messages, from its sources, where the application is not in the state that the call expects.
_CONFLICTS = (
    "auto-sync is enabled",
    "another operation is already in progress",
    "application is deleting",
    "does not have deployment id",
    "No operation is in progress",
)
_PATCH_FAILED = "error applying patch"


class ArgoCdClient:
    """`section` has an address and a token."""

    def __init__(self, section: ArgoCdSettings) -> None:
        assert section.url is not None, "a client needs an address"
        self._api = api_of(section)

    def application(self, name: str, namespace: str = "") -> KubernetesObject | None:
        query = [("appNamespace", namespace)] if namespace else []
        try:
            answer = self._api.get("GET", f"/applications/{quote(name, safe='')}", query=query)
        except Rejected as refused:
            if refused.code == "not_found" or (refused.code == "no_entry" and "(403)" in refused.message):
                return None
            raise
        if not isinstance(answer, dict) or not isinstance(answer.get("metadata"), dict):
            raise _unreadable()
        return answer

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
            if any(one in refused.message for one in _CONFLICTS):
                raise Conflict(refused.message.removesuffix(" Nothing was done.")) from None
            raise
        except OutcomeUnknown as unknown:
            if _PATCH_FAILED in unknown.message:
                raise Conflict("the application was changed meanwhile") from None
            raise


def api_of(section: ArgoCdSettings) -> HttpApi:
    """Its API; the section has an address."""
    return HttpApi(f"{(section.url or '').rstrip('/')}/api/v1", called=_CALLED, token=section.token, timeout=_TIMEOUT)


def _path(application: KubernetesObject) -> str:
    return f"/applications/{quote(application['metadata']['name'], safe='')}"


def _named(application: KubernetesObject) -> Mapping[str, str]:
    """The application in a request; with its project, so that a missing one differs from one without access."""
    meta = application["metadata"]
    project = str((application.get("spec") or {}).get("project") or "default")
    return {"name": meta["name"], "appNamespace": meta["namespace"], "project": project}


def _unreadable() -> Rejected:
    message = f"The answer of {_CALLED} is not one of its API. Nothing was done. Check that its url is an Argo CD's."
    return Rejected(message, code="unreadable", status=HTTPStatus.BAD_GATEWAY)
