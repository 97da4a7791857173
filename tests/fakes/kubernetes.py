"""A strict Kubernetes API server: real HTTP, and the semantics on which safe writes depend.

Versions and 409, server-side apply with the owners of fields and their conflicts, JSON patch whose test fails with 422,
strategic merge with merge keys (415 on custom resources), /scale and /status as views of their own, dryRun=All,
selectors, pages, a watch that can begin with a list, be resumed, cut or told 410, access reviews, impersonation. Small
controllers live in `kubernetes_controllers`; the world moves by one of their steps after each request, and while a
watch waits, so that no test has to sleep for it.
Written down from the API's documentation and its server's sources; `tests/cluster` holds it and a real one to the same.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import yaml

from tests.fakes import kubernetes_discovery as discovery
from tests.fakes import kubernetes_patches as patches
from tests.fakes import kubernetes_protobuf as protobuf
from tests.fakes.calls import Answer, Call
from tests.fakes.kubernetes_admission import admitted, counted, ending, placed, tainted
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import SERVED, Resource, kind_of, served_at
from tests.fakes.kubernetes_policies import reviewed
from tests.fakes.kubernetes_rights import Rights, User, Wanted
from tests.fakes.kubernetes_store import Refused, Thing, copied, selected
from tests.fakes.kubernetes_validation import check
from tests.fakes.kubernetes_views import PATH, QUERY, VERBS, Asked, bookmark, line
from tests.fakes.kubernetes_writes import fresh, listed, view, wanted
from tests.fakes.server import StrictServer
from tests.fakes.ticking import Ticking


class FakeKubernetes(StrictServer, Insides):
    """`token`: the bot's, whose user is `vakhta`. `rights` say who may what; at first that one may do anything."""

    def __init__(self, *, token: str = "k8s-token", clock: Ticking | None = None) -> None:
        StrictServer.__init__(self)
        Insides.__init__(self, clock or Ticking())
        self.rights = Rights(users={token: "vakhta"})
        self.unserved: set[str] = set()  #: groups whose CRDs are not installed
        self.controllers: list[Callable[[Insides], bool]] = []
        self.held_still = False  #: the controllers do nothing
        self.page = 500  #: so many at most are listed at once, whatever is asked for
        self._moved = threading.Condition(self._lock)

    def put(self, kind: str, name: str, namespace: str = "shop", **parts: Any) -> Thing:
        """Create something as `kubectl` would."""
        resource = kind_of(kind)
        meta = {"name": name, **parts.pop("metadata", {})} | ({"namespace": namespace} if resource.namespaced else {})
        with self._lock:
            return self.objects.create(resource, {"metadata": meta, **parts}, "kubectl-create")

    def change(
        self, kind: str, name: str, patch: Thing, *, by: str = "kubectl", namespace: str = "shop", sub: str = ""
    ) -> None:
        """A merge patch by somebody else."""
        with self._moved:
            resource = kind_of(kind)
            old = self.objects.get(resource, namespace if resource.namespaced else "", name)
            self.objects.write(resource, old, patches.merge(old, patch), by=by, sub=sub)
            self._moved.notify_all()

    def remove(self, kind: str, name: str, namespace: str = "shop") -> None:
        """Delete something as `kubectl` would; it stays, marked, while it has finalizers."""
        with self._moved:
            resource = kind_of(kind)
            self.objects.delete(resource, self.objects.get(resource, namespace if resource.namespaced else "", name))
            self._moved.notify_all()

    def replace(self, kind: str, thing: Thing, *, by: str) -> None:
        """A whole object, put in the place of the one that is there, by somebody else."""
        with self._moved:
            meta = thing["metadata"]
            old = self.objects.get(kind_of(kind), meta.get("namespace", ""), meta["name"])
            self.objects.write(kind_of(kind), old, thing, by=by)
            self._moved.notify_all()

    def now(self, kind: str, name: str, namespace: str = "shop") -> Thing:
        with self._lock:
            resource = kind_of(kind)
            return copied(self.objects.get(resource, namespace if resource.namespaced else "", name))

    def every(self, kind: str, namespace: str = "shop") -> list[Thing]:
        with self._lock:
            return copied(list(self.objects.all(kind_of(kind), namespace)))

    def settle(self) -> None:
        """Let the controllers work until nothing is left to do."""
        with self._lock:
            for _ in range(1000):
                if not self.step():
                    return
        raise AssertionError("the controllers fight each other without end")

    def step(self) -> bool:
        """One step of every controller; whether any of them did something. Called with the lock held."""
        self.clock()
        if self.held_still:
            return False
        acted = [controller(self) for controller in self.controllers]
        return any(acted)

    def later(self, by: timedelta) -> None:
        """So much time goes by."""
        with self._moved:
            self.clock.at += by
            self._moved.notify_all()

    def forget(self) -> None:
        """Compaction: no watch and no page can go on from before now."""
        with self._lock:
            self.objects.forgotten = self.objects.version

    def writes(self) -> list[Call]:
        """The requests that were to change something for good."""
        reviews = "reviews"
        return [
            call
            for call in self.received
            if call.verb != "GET" and "dryRun" not in call.query and not call.path.endswith(reviews)
        ]

    def answer(self, call: Call) -> Answer:
        with self._moved:
            try:
                answer = self._answer(call)
            except Refused as refused:
                answer = Answer.json(refused.status(), status=refused.code)
            self.step()
            self._moved.notify_all()
            return answer

    def _answer(self, call: Call) -> Answer:
        user = self.rights.user_of(call.heads)
        if unknown := set(call.query) - QUERY[call.verb]:
            self.fault(f"{call.verb} {call.path}: no such parameter as {', '.join(sorted(unknown))}")
        if call.headers.get("content-type") == protobuf.MEDIA_TYPE:
            call = replace(call, body=protobuf.as_json(call.body))
        told = discovery.root(call.path, self.unserved)
        if told is not None:
            return Answer.json(told)
        found = PATH.fullmatch(call.path)
        if found is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        group, version = (found["group"] or "", found["version"] or found["core"])
        if group == "authentication.k8s.io" and found["plural"] == "selfsubjectreviews":
            return Answer.json({"status": {"userInfo": {"username": user.name}}}, status=201)
        if group == "authorization.k8s.io":
            return Answer.json(self.rights.review(found["plural"], json.loads(call.body), user), status=201)
        if not found["plural"]:
            return self._discovery(group, version)
        resource = served_at(group, version, found["plural"])
        if resource is None or group in self.unserved:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        if found["sub"] not in self._subs(resource):
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        asked = Asked(
            resource=resource,
            namespace=found["namespace"] or "",
            name=found["name"] or "",
            sub=found["sub"] or "",
            call=call,
        )
        self._admit(asked, user)
        return self._served(asked)

    def _served(self, asked: Asked) -> Answer:
        match asked.call.verb:
            case "GET" if asked.name:
                return self._log(asked) if asked.sub == "log" else Answer.json(view(asked, self._object(asked)))
            case "GET":
                return self._read(asked)
            case "POST":
                return self._create(asked)
            case "PATCH" if asked.applies and not asked.sub:
                return self._applied(asked)
            case "PUT" | "PATCH":
                return Answer.json(self._changed(asked))
            case _:
                return self._delete(asked)

    def _log(self, asked: Asked) -> Answer:
        """Both streams of its container, as text, and as much of it from its beginning as is asked for."""
        pod, query = self._object(asked), asked.call.query
        if query.get("container") not in [one["name"] for one in pod["spec"]["containers"]]:
            raise Refused(400, "BadRequest", f"container {query.get('container')} is not valid for pod {asked.name}")
        if (pod.get("status") or {}).get("phase") == "Pending":
            said = f'container "{query["container"]}" in pod "{asked.name}" is waiting to start: ContainerCreating'
            raise Refused(400, "BadRequest", said)
        printed = self.logs.get((asked.namespace, asked.name), "").encode()
        return Answer(body=printed[: int(query.get("limitBytes", 2**40))], headers={"Content-Type": "text/plain"})

    def _read(self, asked: Asked) -> Answer:
        if asked.call.query.get("watch") in ("true", "1"):
            return Answer(headers={"Content-Type": "application/json"}, pieces=self._watched(asked))
        return Answer.json(self._listed(asked))

    @staticmethod
    def _subs(resource: Resource) -> set[str | None]:
        views = {"status": resource.status, "scale": resource.scaled, "log": resource.kind == "Pod"}
        return {None} | {sub for sub, there in views.items() if there}

    def _discovery(self, group: str, version: str) -> Answer:
        served = [one for one in SERVED if (one.group, one.version) == (group, version)]
        if not served or group in self.unserved:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return Answer.json(discovery.resources(served))

    def _admit(self, asked: Asked, user: User) -> None:
        reads = ("get" if asked.name else "list") if asked.call.query.get("watch") not in ("true", "1") else "watch"
        wanted = Wanted(
            verb=VERBS.get(asked.call.verb, reads),
            group=asked.resource.group,
            resource=asked.resource.plural + (f"/{asked.sub}" if asked.sub else ""),
            namespace=asked.name if asked.resource.kind == "Namespace" else asked.namespace,
            name=asked.name,
        )
        if not self.rights.allow(user, wanted):
            raise Refused(403, "Forbidden", wanted.refusal(user), name=asked.name, kind=asked.resource.plural)
        missing = asked.applies and self.objects.find(asked.resource, asked.namespace, asked.name) is None
        if missing and not self.rights.allow(user, made := replace(wanted, verb="create")):
            raise Refused(403, "Forbidden", made.refusal(user), name=asked.name, kind=asked.resource.plural)

    def _object(self, asked: Asked) -> Thing:
        return self.objects.get(asked.resource, asked.namespace, asked.name)

    def _listed(self, asked: Asked) -> Thing:
        query = asked.call.query
        fits = selected(query.get("labelSelector", ""), query.get("fieldSelector", ""), asked.resource)
        found = [one for one in self.objects.all(asked.resource, asked.namespace) if fits(one)]
        start, version = 0, str(self.objects.version)
        if query.get("continue"):
            version, _, begun = query["continue"].partition(":")
            start = int(begun)
            if int(version) < self.objects.forgotten:
                raise Refused(410, "Expired", "The provided continue parameter is too old")
        end = start + min(int(query.get("limit") or self.page), self.page)
        meta: Thing = {"resourceVersion": version}
        if end < len(found):
            meta |= {"continue": f"{version}:{end}", "remainingItemCount": len(found) - end}
        return {
            "kind": f"{asked.resource.kind}List",
            "apiVersion": asked.resource.api_version,
            "metadata": meta,
            "items": [listed(asked.resource, one) for one in found[start:end]],
        }

    def _watched(self, asked: Asked) -> Iterator[bytes]:
        query = asked.call.query
        fits = selected(query.get("labelSelector", ""), query.get("fieldSelector", ""), asked.resource)
        since = int(query.get("resourceVersion") or self.objects.version)
        until = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        if since < self.objects.forgotten:
            gone = Refused(410, "Expired", f"too old resource version: {since} ({self.objects.version})").status()
            yield line({"type": "ERROR", "object": gone})
            return
        if query.get("sendInitialEvents") == "true":
            with self._lock:
                held, since = list(self.objects.all(asked.resource, asked.namespace)), self.objects.version
            yield from (line({"type": "ADDED", "object": one}) for one in held if fits(one))
            yield line({"type": "BOOKMARK", "object": bookmark(asked.resource, since)})
        while time.monotonic() < until and not self.ended.is_set():
            with self._moved:
                fresh = [one for one in self.objects.since(since) if one.resource == asked.resource]
                since = self.objects.version
                if not fresh and not self.step():
                    self._moved.wait(min(until - time.monotonic(), 0.05))
            for one in fresh:
                if fits(one.thing) and asked.namespace in ("", one.thing["metadata"].get("namespace", "")):
                    yield line({"type": one.type, "object": one.thing})

    def _create(self, asked: Asked) -> Answer:
        body = fresh(asked)
        placed(self, asked.namespace)
        if asked.resource.kind == "Node":
            tainted(body)
        elif asked.resource.status:
            body.pop("status", None)
        if asked.resource.kind == "Pod":
            body = admitted(self, {**body, "status": {"phase": "Pending", "qosClass": "Burstable"}})
        check(asked.resource, body)
        ending(self, asked.resource, body)
        counted(self, asked.resource, body)
        reviewed(self, asked)
        if asked.dry:
            return Answer.json(self.objects.would_make(asked.resource, body, asked.manager), status=201)
        return Answer.json(self.objects.create(asked.resource, body, asked.manager), status=201)

    def _changed(self, asked: Asked) -> Thing:
        old = self._object(asked)
        new = wanted(asked, old)
        made = self.objects.would_be(asked.resource, old, new, by=asked.manager, sub=asked.sub)
        if not asked.sub:
            check(asked.resource, made, old)
        reviewed(self, asked)
        if not asked.dry:
            made = self.objects.write(asked.resource, old, new, by=asked.manager, sub=asked.sub)
        return copied(view(asked, made))

    def _applied(self, asked: Asked) -> Answer:
        """Server-side apply, which makes what is not there yet."""
        if not asked.call.query.get("fieldManager"):
            raise Refused(422, "Invalid", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        said = yaml.safe_load(asked.call.body)
        where = {"namespace": asked.namespace} if asked.resource.namespaced else {}
        said["metadata"] = {**said["metadata"], **where}
        if said["metadata"].get("managedFields"):
            raise Refused(400, "BadRequest", "metadata.managedFields must be nil")
        force = asked.call.query.get("force") == "true"
        old, made = self.objects.apply(asked.resource, asked.namespace, asked.name, said, by=asked.manager, force=force)
        check(asked.resource, made, old)
        if not asked.dry:
            made = self.objects.keep_applied(asked.resource, old, made)
        return Answer.json(copied(made), status=200 if old else 201)

    def _delete(self, asked: Asked) -> Answer:
        thing = self._object(asked)
        options = json.loads(asked.call.body or b"{}")
        conditions = options.get("preconditions") or {}
        for name, value in conditions.items():
            if thing["metadata"].get(name) != value:
                held = f"the {name} in record ({thing['metadata'].get(name)})"
                said = f'{asked.resource.kind}.{asked.resource.group} "{asked.name}"'
                said += f": the {name} in the precondition ({value}) does not match {held}"
                raise Refused(409, "Conflict", f"Operation cannot be fulfilled on {said}", name=asked.name)
        if not asked.dry:
            if asked.resource.kind == "Job" and not (
                options.get("propagationPolicy") or asked.call.query.get("propagationPolicy")
            ):
                self.objects.orphan(thing)  # Of Jobs alone, for old clients: pkg/registry/batch/job/strategy.go.
            self.objects.delete(asked.resource, thing)
        return Answer.json({"kind": "Status", "apiVersion": "v1", "status": "Success"})
