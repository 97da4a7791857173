"""A Kubernetes cluster, the only file that knows the package kubernetes. Implements `bot.core.kubernetes.Cluster`.

The package supplies kubeconfig files, service accounts and their renewal, TLS and connections; JSON is sent over them
directly. The reasons: the package's typed calls drop unknown fields, its generic call turns a JSON patch in bytes into
a strategic merge, and urllib3's own retries would send a PUT or DELETE three times.
Tested with 37.0.0 and 37.0.1: https://github.com/kubernetes-client/python
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3 import BaseHTTPResponse, HTTPHeaderDict, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from yaml import YAMLError

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import ClusterUser, KubernetesObject, ObjectRef, PatchType, ResourceAccess, ResourceKind
from bot.integrations.kubernetes import errors
from bot.integrations.kubernetes.credentials import in_time
from bot.integrations.kubernetes.errors import ApiError, ApiErrorKind
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.lib.redact import shown

_TRIES, _TIMEOUT_S, _LONGEST_WAIT_S = 3, 10.0, 5.0
_PAGE = "500"
_MAX_PAGES = 200
_MAX_SHOWN = 300
#: Added to a refusal: what to do about it.
_HINTS: Mapping[str, str] = {
    ApiErrorKind.WEBHOOK_FAILED: " The cluster accepts no such change until that webhook answers; ask again then.",
}
_JSON = "application/json"
#: The group that Kubernetes adds to every authenticated user; in an access review it has to be listed.
_EVERYBODY = "system:authenticated"
#: The request was not handled, so a read may be tried again.
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}

#: The package has no types for these.
_load_account: Callable[..., object] = load_incluster_config
_load_file: Callable[..., object] = load_kube_config


class KubernetesClient:
    """`name`: of the cluster in the settings. Connects at the first call; safe to share between threads."""

    answer_s = _TIMEOUT_S  #: how long it waits for each answer

    def __init__(
        self, name: str, section: ClusterSettings, *, person: ClusterUser | None = None, api: ApiClient | None = None
    ) -> None:
        self.name = name
        self._section = section
        self._api = api
        self._person = person  #: the person that changes are made as (impersonation)
        self._lock = threading.Lock()
        self._never = threading.Event()  # Its wait is a pause.

    def get(self, ref: ObjectRef, sub: str = "") -> KubernetesObject | None:
        return self._read(_path(ref.kind, ref.namespace, ref.name, sub))

    def find(
        self, kind: ResourceKind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> Sequence[KubernetesObject]:
        asked = {"limit": _PAGE, "labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in asked.items() if value}
        for _ in range(_TRIES):
            try:
                return self._pages(_path(kind, namespace), query)
            except _Outdated:
                continue
        raise self._refused("changes faster than its lists can be read", HTTPStatus.GONE)

    def patch(
        self, ref: ObjectRef, patch: object, *, how: PatchType, by: str, sub: str = "", dry: bool = False
    ) -> KubernetesObject:
        query = {"fieldManager": by} | ({"dryRun": "All"} if dry else {})
        path = _path(ref.kind, ref.namespace, ref.name, sub)
        return self._change("PATCH", path, query, patch, str(how), person=self._person)

    def create(
        self, kind: ResourceKind, namespace: str, manifest: KubernetesObject, *, by: str, dry: bool = False
    ) -> KubernetesObject:
        """A manifest without a name is a fault of the program: the server would make one up, and nobody find it."""
        if not manifest["metadata"].get("name"):
            raise ValueError(f"a new {kind.title} has no name")
        version = f"{kind.group}/{kind.version}" if kind.group else kind.version
        meta = dict(manifest["metadata"]) | ({"namespace": namespace} if namespace else {})
        body = {**manifest, "apiVersion": version, "kind": kind.title, "metadata": meta}
        query = {"fieldManager": by} | ({"dryRun": "All"} if dry else {})
        try:
            return self._change("POST", _path(kind, namespace), query, body, _JSON, person=self._person)
        except Rejected as refused:
            if refused.status != HTTPStatus.NOT_FOUND or refused.code != ApiErrorKind.REFUSED:
                raise
            raise Rejected(refused.message, code="missing", status=refused.status) from None

    def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """The policy is said because a Job would leave its pods running otherwise."""
        path = _path(ref.kind, ref.namespace, ref.name)
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            self._change("DELETE", path, {}, options, _JSON, person=self._person)
        except Rejected as refused:
            if refused.status != HTTPStatus.NOT_FOUND or refused.code != ApiErrorKind.REFUSED:
                raise
            raise Conflict(f"{ref} is gone") from None

    def read_log(self, pod: ObjectRef, container: str, *, most_bytes: int = 1024 * 1024) -> str:
        path = _path(pod.kind, pod.namespace, pod.name, "log")
        answer = self._asked("GET", path, {"container": container, "limitBytes": str(most_bytes)})
        if answer.status == HTTPStatus.NOT_FOUND:
            return ""
        if answer.status != HTTPStatus.OK:
            self._decoded(answer)
        return answer.data.decode(errors="replace")

    def wait_for_change(self, ref: ObjectRef, since: KubernetesObject, patience: timedelta) -> KubernetesObject | None:
        """A watch only wakes this up. Whatever ends it (an event, a lost connection, 410), the object is read again."""
        fields = {"fieldSelector": f"metadata.name={ref.name}", "resourceVersion": since["metadata"]["resourceVersion"]}
        until = monotonic() + patience.total_seconds()
        while (left := until - monotonic()) > 0:
            query = {**fields, "watch": "true", "timeoutSeconds": str(max(1, round(left)))}
            self._wake(_path(ref.kind, ref.namespace), query, left)
            found = self.get(ref)
            if found is None or found["metadata"]["resourceVersion"] != since["metadata"]["resourceVersion"]:
                return found
            self._never.wait(min(1.0, max(0.0, until - monotonic())))  # A refused watch must not become a busy loop.
        return self.get(ref)

    def allowed(self, access: ResourceAccess) -> bool:
        return self._review("selfsubjectaccessreviews", access, {}, self._person)

    def allowed_for(self, person: ClusterUser, access: ResourceAccess) -> bool:
        subject = {"user": person.user, "groups": [*person.groups, _EVERYBODY]}
        return self._review("subjectaccessreviews", access, subject, None)

    def acting_as(self, person: ClusterUser) -> KubernetesClient:
        return KubernetesClient(self.name, self._section, person=person, api=self._connected())

    def whoami(self) -> str:
        """The bot's user name in the cluster; "" where it is not known, before Kubernetes 1.28."""
        review = self._read("/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}) or {}
        return str(((review.get("status") or {}).get("userInfo") or {}).get("username") or "")

    def _review(
        self, kind: str, access: ResourceAccess, subject: Mapping[str, object], asker: ClusterUser | None
    ) -> bool:
        """A read, although it is a POST: it may be tried again."""
        resource, _, sub = access.resource.partition("/")
        attributes = {
            "verb": access.verb,
            "group": access.group,
            "resource": resource,
            "subresource": sub,
            "namespace": access.namespace,
            "name": access.name,
        }
        body = {"spec": {"resourceAttributes": attributes, **subject}}
        review = self._read(f"/apis/authorization.k8s.io/v1/{kind}", body=body, person=asker) or {}
        return bool((review.get("status") or {}).get("allowed"))

    def _pages(self, path: str, query: Mapping[str, str]) -> list[KubernetesObject]:
        found: list[KubernetesObject] = []
        more = ""
        for _ in range(_MAX_PAGES):
            page = self._read(path, {**query, **({"continue": more} if more else {})}) or {}
            found += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue") or ""
            if not more:
                return found
        raise self._refused("has more objects of this kind than can be listed", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def _read(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: object = None,
        person: ClusterUser | None = None,
    ) -> KubernetesObject | None:
        verb, sent, kind = ("GET", None, "") if body is None else ("POST", json.dumps(body).encode(), _JSON)
        answer = self._asked(verb, path, query or {}, sent, kind, person=person)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status == HTTPStatus.GONE:
            raise _Outdated
        return self._decoded(answer)

    def _asked(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        kind: str = "",
        *,
        person: ClusterUser | None = None,
    ) -> BaseHTTPResponse:
        """A read, tried again while the cluster is busy."""
        for tried in range(1, _TRIES + 1):
            try:
                answer = self._send(verb, path, query, body, kind, person=person)
            except HTTPError as error:
                if tried == _TRIES:
                    raise self._refused(_how(error), HTTPStatus.SERVICE_UNAVAILABLE, "unreachable") from None
                continue
            if answer.status not in _BUSY or tried == _TRIES:
                break
            self._never.wait(_wait(answer, tried))
        return answer

    def _change(
        self, verb: str, path: str, query: Mapping[str, str], body: object, kind: str, *, person: ClusterUser | None
    ) -> KubernetesObject:
        dry = "dryRun" in query  # Nothing is done, whatever the answer.
        try:
            answer = self._send(verb, path, query, json.dumps(body).encode(), kind, person=person)
        except HTTPError as error:
            if dry or _unsent(error):
                raise self._refused(_how(error), HTTPStatus.SERVICE_UNAVAILABLE, "unreachable") from None
            raise OutcomeUnknown(f"Cluster {self.name} gave no answer: {_how(error)}.") from None
        refusal = _refusal(answer, kind)
        unread = answer.status < HTTPStatus.MULTIPLE_CHOICES and _json(answer) is None  # It was accepted all the same.
        if (unread or (refusal is not None and refusal.kind is ApiErrorKind.UNKNOWN)) and not dry:
            message = refusal.message if refusal else "the body cannot be read"
            raise OutcomeUnknown(f"Cluster {self.name} answered {answer.status}: {message}")
        if refusal is not None and refusal.kind is ApiErrorKind.CONFLICT:
            raise Conflict(refusal.message)
        return self._decoded(answer, kind)

    def _decoded(self, answer: BaseHTTPResponse, kind: str = "") -> KubernetesObject:
        refusal = _refusal(answer, kind)
        if refusal is not None:
            message = f"answered {answer.status}: {refusal.message}"
            code = "refused" if refusal.kind is ApiErrorKind.UNKNOWN else refusal.kind  # A read has no unknown outcome.
            raise self._refused(message, answer.status, code, _HINTS.get(refusal.kind, ""))
        value = _json(answer)
        if not isinstance(value, dict):
            raise self._refused("did not answer with a Kubernetes object", HTTPStatus.BAD_GATEWAY, "unreadable")
        return value

    def _send(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        kind: str = "",
        *,
        person: ClusterUser | None = None,
    ) -> BaseHTTPResponse:
        url, headers = self._addressed(path, query)
        sent = HTTPHeaderDict(headers)
        if kind:
            sent["Content-Type"] = kind
        if person is not None:
            sent["Impersonate-User"] = person.user
            for group in person.groups:  # One header for each: in one with commas all would be the name of one group.
                sent.add("Impersonate-Group", group)
        pool = self._connected().rest_client.pool_manager
        return pool.request(
            verb, url, body=body, headers=sent, timeout=Timeout(self.answer_s), retries=False, redirect=False
        )

    def _wake(self, path: str, query: Mapping[str, str], patience_s: float) -> None:
        """Return at a watch's first event, or at its end."""
        url, headers = self._addressed(path, query)
        pool = self._connected().rest_client.pool_manager
        timeout = Timeout(connect=_TIMEOUT_S, read=patience_s)
        try:
            with closing(
                pool.request("GET", url, headers=headers, timeout=timeout, retries=False, preload_content=False)
            ) as events:
                next(events.stream(1), None)
        except HTTPError:
            return  # The object is read next, which shows whether the cluster answers.

    def _addressed(self, path: str, query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        headers = {"Accept": _JSON, "User-Agent": "vakhta"}

        def log_in() -> ApiClient:
            api = self._connected()
            api.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
            return api

        api = in_time(log_in)
        return f"{api.configuration.host.rstrip('/')}{path}{f'?{urlencode(query)}' if query else ''}", headers

    def _connected(self) -> ApiClient:
        with self._lock:
            if self._api is None:
                self._api = ApiClient(self._configuration())
            return self._api

    def _configuration(self) -> Configuration:
        made, section = Configuration(), self._section
        try:
            if section.kubeconfig == "in-cluster":
                _load_account(client_configuration=made)
            else:
                _load_file(section.kubeconfig, section.context, made, persist_config=False)
        except (ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError) as error:
            message = f"cannot be reached by its kubeconfig {section.kubeconfig}: {shown(str(error), _MAX_SHOWN)}"
            raise self._refused(message, HTTPStatus.SERVICE_UNAVAILABLE, "bad_kubeconfig") from None
        return made

    def _refused(self, message: str, status: int, code: str = "refused", hint: str = "") -> Rejected:
        return Rejected(f"Cluster {self.name} {message.rstrip('.')}. Nothing was done.{hint}", code=code, status=status)


class _Outdated(Exception):
    """410: the next page of a list, or the version of a watch, has expired."""


def _path(kind: ResourceKind, namespace: str, name: str = "", sub: str = "") -> str:
    begin = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    parts = (kind.plural, quote(name, safe=""), sub)
    return begin + where + "".join(f"/{part}" for part in parts if part)


def _wait(answer: BaseHTTPResponse, tried: int) -> float:
    """Retry-After, in seconds; Kubernetes sends no dates there."""
    seconds = answer.headers.get("Retry-After", "")
    return min(float(seconds) if seconds.isdigit() else 0.25 * 2**tried, _LONGEST_WAIT_S)


def _refusal(answer: BaseHTTPResponse, kind: str) -> ApiError | None:
    """None for a success. `kind`: the content type of the request."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return errors.classify(answer.status, _json(answer), answer.reason or "", kind)


def _json(answer: BaseHTTPResponse) -> Any:
    try:
        return json.loads(answer.data)
    except ValueError:
        return None


def _unsent(error: HTTPError) -> bool:
    return isinstance(error.reason if isinstance(error, MaxRetryError) else error, NewConnectionError)


def _how(error: HTTPError) -> str:
    return f"cannot be reached ({type(error).__name__})" if _unsent(error) else f"broke off ({type(error).__name__})"
