"""A strict Argo CD: its REST API over real HTTP, and the controller that works off one operation after the other.

Its Applications are the objects of a `FakeKubernetes`: of the one that a test acts on, or of one of its own. It moves
by one step with each request: an operation is begun, then it ends, then the application is healthy.
Written down from Argo CD's sources, server/application and controller/appcontroller.go.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fakes import kubernetes_patches as patches
from tests.fakes.calls import Answer, Call
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.server import StrictServer

Json = dict[str, Any]
_PATH = re.compile(r"/api/v1/applications/(?P<name>[^/]+)(?:/(?P<sub>rollback|operation))?")
_KEYS = {"rollback": {"name", "id", "dryRun", "prune"}, "patch": {"name", "patch", "patchType"}}
_WHERE = {"appNamespace", "project"}
_CODES = {3: 400, 5: 404, 7: 403, 9: 400, 16: 401, 2: 500}
_WINDOW = "Sync operation blocked by sync window"


class Failed(Exception):
    """What is answered instead: a gRPC code and its message."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


class FakeArgoCd(StrictServer):
    """`manifests`: what a revision sets, by kind and name, as merge patches. A revision that has none sets nothing."""

    def __init__(self, cluster: FakeKubernetes | None = None, *, token: str = "argo-token") -> None:
        super().__init__()
        self.cluster = cluster or FakeKubernetes()
        self.token = token
        self.manifests: dict[str, dict[tuple[str, str], Json]] = {}
        self.window = False  #: a sync window blocks what is begun
        self.fails = ""  #: why the next operations fail
        self.tried = True  #: what fails has been applied in part
        self.denied: set[str] = set()  #: what the token may not: "get", "sync", "update"
        self.held_still = False  #: operations are taken, and not begun
        self._seconds = 0

    def put(self, name: str = "shop", namespace: str = "argocd", **spec: Any) -> Json:
        """An application with two revisions in its history: "aaa" and then "bbb"."""
        history = [entry(1, "a" * 40), entry(2, "b" * 40)]
        status = {"history": history, "sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
        made = {"project": "default", "source": SOURCE, "destination": {"namespace": "shop"}, **spec}
        where = made["destination"]["namespace"]
        status["resources"] = [{"group": "apps", "kind": "Deployment", "namespace": where, "name": "api"}]
        return self.cluster.put("Application", name, namespace, spec=made, status=status)

    def app(self, name: str = "shop", namespace: str = "argocd") -> Json:
        return self.cluster.now("Application", name, namespace)

    def change(self, name: str = "shop", namespace: str = "argocd", **patch: Any) -> None:
        self.cluster.change("Application", name, patch, namespace=namespace, by="argocd-controller")

    def end(self, name: str = "shop", namespace: str = "argocd") -> None:
        """Somebody deletes it, and its finalizer holds it while what it keeps goes."""
        self.change(name, namespace, metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]})
        self.cluster.remove("Application", name, namespace)

    def answer(self, call: Call) -> Answer:
        with self._lock:
            try:
                return self._answer(call)
            except Failed as failed:
                told = {"error": failed.said, "code": failed.code, "message": failed.said}
                return Answer.json(told, status=_CODES[failed.code])

    def _answer(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"Bearer {self.token}":
            raise Failed(16, "no session information")
        if (call.verb, call.path) == ("GET", "/api/v1/session/userinfo"):
            return Answer.json({"loggedIn": True, "username": "vakhta", "iss": "argocd"})
        found = _PATH.fullmatch(call.path)
        if found is None:
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer.json({"error": "Not Found", "code": 5, "message": "Not Found"}, status=404)
        body = json.loads(call.body) if call.body else {}
        where = {**call.query, **{name: body[name] for name in _WHERE & set(body)}}
        app = self._found(found["name"], where)
        match (call.verb, found["sub"]):
            case ("GET", None):
                self._expect(call, set(call.query) - _WHERE)
                self.step(app["metadata"]["name"], app["metadata"]["namespace"])
                return Answer.json(self.app(app["metadata"]["name"], app["metadata"]["namespace"]))
            case ("POST", "rollback"):
                self._expect(call, set(body) ^ (_KEYS["rollback"] | _WHERE))
                return self._roll_back(app, body)
            case ("PATCH", None):
                self._expect(call, set(body) ^ (_KEYS["patch"] | _WHERE))
                return self._patch(app, body)
            case ("DELETE", "operation"):
                self._expect(call, set(call.query) ^ _WHERE)
                return self._terminate(app)
            case _:
                self.fault(f"unexpected {call.verb} {call.path}")
                raise Failed(5, "Not Found")

    def _expect(self, call: Call, odd: set[str]) -> None:
        if odd:
            self.fault(f"{call.verb} {call.path}: missing or unknown {', '.join(sorted(odd))}")

    def _found(self, name: str, where: dict[str, str]) -> Json:
        namespace = where.get("appNamespace") or "argocd"
        of_it = (one for one in self.cluster.every("Application", namespace) if one["metadata"]["name"] == name)
        app = next(of_it, None)
        if "get" in self.denied or (app is None and "project" not in where):
            raise Failed(7, "permission denied")
        if app is None:
            raise Failed(5, f'applications.argoproj.io "{name}" not found')
        return app

    def _roll_back(self, app: Json, body: Json) -> Answer:
        if "sync" in self.denied:
            raise Failed(7, f"permission denied: applications, sync, default/{app['metadata']['name']}")
        if app["metadata"].get("deletionTimestamp"):
            raise Failed(9, "application is deleting")
        automated = (app["spec"].get("syncPolicy") or {}).get("automated")
        if automated is not None and automated.get("enabled") is not False:
            raise Failed(9, "rollback cannot be initiated when auto-sync is enabled")
        goal = next((one for one in _status(app).get("history", ()) if one["id"] == body["id"]), None)
        if goal is None:
            raise Failed(3, f"application {app['metadata']['name']} does not have deployment id {body['id']}")
        if app.get("operation"):
            raise Failed(9, "another operation is already in progress")
        kept = {name: goal[name] for name in ("revision", "revisions", "source", "sources") if name in goal}
        how = {"dryRun": body["dryRun"], "prune": body["prune"], "syncStrategy": {"apply": {}}}
        self._set(app, operation={"sync": {**kept, **how}, "initiatedBy": {"username": "vakhta"}})
        return Answer.json(self._fresh(app))

    def _patch(self, app: Json, body: Json) -> Answer:
        if "update" in self.denied:
            raise Failed(7, f"permission denied: applications, update, default/{app['metadata']['name']}")
        if body["patchType"] not in ("json", "merge"):
            raise Failed(3, f"Patch type '{body['patchType']}' is not supported")
        how = patches.steps if body["patchType"] == "json" else patches.merge
        try:
            new = how(app, json.loads(body["patch"]))
        except patches.Unfit as unfit:
            raise Failed(2, f"error applying patch: {unfit.said}") from None
        meta = {name: value for name, value in app["metadata"].items() if name not in ("labels", "annotations")}
        meta |= {name: new["metadata"][name] for name in ("labels", "annotations") if name in new["metadata"]}
        self.cluster.replace("Application", {**app, "spec": new["spec"], "metadata": meta}, by="argocd-server")
        return Answer.json(self._fresh(app))

    def _terminate(self, app: Json) -> Answer:
        if "sync" in self.denied:
            raise Failed(7, f"permission denied: applications, sync, default/{app['metadata']['name']}")
        state = _status(app).get("operationState") or {}
        if not app.get("operation") or not state:
            raise Failed(3, "Unable to terminate operation. No operation is in progress")
        self._set(app, status={"operationState": {"phase": "Terminating"}})
        return Answer.json({})

    def step(self, name: str = "shop", namespace: str = "argocd") -> None:
        """What the controller does next for that application."""
        app = self.app(name, namespace)
        if self.held_still:
            return
        operation, state = app.get("operation"), _status(app).get("operationState") or {}
        if operation is None:
            if _status(app).get("health", {}).get("status") == "Progressing":
                self._set(app, status={"health": {"status": "Healthy"}})
        elif state.get("phase") not in ("Running", "Terminating"):
            begun = {"phase": "Running", "operation": operation, "startedAt": self._now(), "message": ""}
            self._set(app, status={"operationState": None})
            self._set(app, status={"operationState": begun})
        elif state["phase"] == "Terminating":
            self._end(app, "Failed", "Operation terminated")
        elif self.window:
            self._set(app, status={"operationState": {"message": _WINDOW}})
        elif self.fails:
            self._end(app, "Failed", self.fails, result=self._result(operation) if self.tried else None)
        else:
            self._sync(app, operation["sync"])

    def _sync(self, app: Json, how: Json) -> None:
        namespace = app["spec"]["destination"]["namespace"]
        for (kind, name), patch in self.manifests.get(how["revision"], {}).items():
            self.cluster.change(kind, name, patch, by="argocd-controller", namespace=namespace)
        history = _status(app).get("history", [])
        made = entry(
            history[-1]["id"] + 1 if history else 0, how["revision"], how.get("source", SOURCE), at=self._now()
        )
        status = {"history": [*history, made], "sync": {"status": "OutOfSync"}, "health": {"status": "Progressing"}}
        self._set(app, status=status)
        self._end(app, "Succeeded", "successfully synced (all tasks run)", result=self._result({"sync": how}))

    def _end(self, app: Json, phase: str, said: str, result: Json | None = None) -> None:
        over = {"phase": phase, "message": said, "finishedAt": self._now()}
        self._set(
            app, operation=None, status={"operationState": {**over, **({"syncResult": result} if result else {})}}
        )

    @staticmethod
    def _result(operation: Json) -> Json:
        row = {"group": "apps", "kind": "Deployment", "name": "api", "status": "Synced"}
        return {"revision": operation["sync"]["revision"], "resources": [row]}

    def _now(self) -> str:
        """Argo CD tells whole seconds; here each is its own."""
        self._seconds += 1
        return f"2026-11-24T03:{self._seconds // 60:02d}:{self._seconds % 60:02d}Z"

    def _set(self, app: Json, **patch: Any) -> None:
        self.change(app["metadata"]["name"], app["metadata"]["namespace"], **patch)

    def _fresh(self, app: Json) -> Json:
        return self.app(app["metadata"]["name"], app["metadata"]["namespace"])


SOURCE = {"repoURL": "https://git.example.com/shop.git", "path": "api", "targetRevision": "main"}


def _status(app: Json) -> Json:
    return dict(app.get("status") or {})


def entry(number: int, revision: str, source: Json | None = None, at: str = "") -> Json:
    """One of the history's."""
    when = at or f"2026-11-2{number}T10:00:00Z"
    return {"id": number, "revision": revision, "source": source or SOURCE, "deployedAt": when}
