"""Flagger over a fake Kubernetes: small, and as the real one where its gates are concerned.

It asks over real HTTP, at the addresses in the Canary's webhooks and with what those carry, once a step; anything above
202 is a no. As there: a canary that waits for its promotion shows a weight of 0 and keeps its traffic; a blue-green one
is asked about twice; the checksum is of the spec that was applied last.
pkg/controller/scheduler.go, scheduler_hooks.go, webhook.go of flagger 1.44
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx

from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing

_YES = 202


class Flagger:
    """A controller for `FakeKubernetes.controllers`."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []  #: hook and status, as they came
        self.silent = False  #: it is down
        self._weights: dict[str, int] = {}
        self._http = httpx.Client(trust_env=False, timeout=60)

    def close(self) -> None:
        self._http.close()

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        for canary in list(fake.objects.all(kind_of("Canary"))) if not self.silent else ():
            self._advance(fake, canary)
        return fake.objects.version != before

    def _advance(self, fake: Insides, canary: Thing) -> None:
        status = dict(canary.get("status") or {})
        spec, name = _digest(self._target(fake, canary)["spec"]["template"]), canary["metadata"]["name"]
        phase = status.get("phase")
        if phase is None:
            self._tell(fake, canary, {"phase": "Initialized", "lastAppliedSpec": spec, "lastPromotedSpec": spec})
        elif phase == "Promoting":
            self._tell(fake, canary, status | {"phase": "Finalising"})
        elif phase == "Finalising":
            self._tell(fake, canary, status | {"phase": "Succeeded", "lastPromotedSpec": spec, "canaryWeight": 0})
        elif spec != status["lastAppliedSpec"]:
            self._weights[name] = 0
            self._tell(fake, canary, status | {"phase": "Progressing", "lastAppliedSpec": spec, "canaryWeight": 0})
        elif phase in ("Progressing", "WaitingPromotion"):
            self._analyse(fake, canary, status)

    def _analyse(self, fake: Insides, canary: Thing, status: Thing) -> None:
        name, analysis = canary["metadata"]["name"], canary["spec"]["analysis"]
        if self._ask(canary, "rollback", status["phase"]):
            self._tell(fake, canary, status | {"phase": "Failed", "canaryWeight": 0})
        elif self._weights.get(name, 0) < analysis["maxWeight"]:
            self._weights[name] = self._weights.get(name, 0) + analysis["stepWeight"]
            self._tell(fake, canary, status | {"canaryWeight": self._weights[name]})
        elif self._ask(canary, "confirm-promotion", "Progressing"):
            target = self._target(fake, canary)
            primary = fake.objects.get(kind_of("Deployment"), target["metadata"]["namespace"], f"{name}-primary")
            whole = {**primary, "spec": {**primary["spec"], "template": target["spec"]["template"]}}
            fake.objects.write(kind_of("Deployment"), primary, whole, by="flagger")
            self._tell(fake, canary, status | {"phase": "Promoting"})
        else:
            self._tell(fake, canary, status | {"phase": "WaitingPromotion", "canaryWeight": 0})

    def _ask(self, canary: Thing, hook: str, phase: str) -> bool:
        """Whether every webhook of that kind says yes; a rollback takes one."""
        meta = canary["metadata"]
        payload = {"name": meta["name"], "namespace": meta["namespace"], "phase": phase, "checksum": checksum(canary)}
        answers = []
        for one in canary["spec"]["analysis"].get("webhooks", ()):
            if one["type"] == hook:
                told = payload | ({"metadata": one["metadata"]} if "metadata" in one else {})
                answers.append(self._status(one["url"], told))
        self.answers += [(hook, status) for status in answers]
        yes = [0 < status <= _YES for status in answers]
        return any(yes) if hook == "rollback" else all(yes)

    def _status(self, url: str, told: Mapping[str, Any]) -> int:
        """0 without an answer, which is a no as well."""
        try:
            return self._http.post(url, json=told).status_code
        except httpx.HTTPError:
            return 0

    @staticmethod
    def _target(fake: Insides, canary: Thing) -> Thing:
        name, namespace = canary["spec"]["targetRef"]["name"], canary["metadata"]["namespace"]
        return fake.objects.get(kind_of("Deployment"), namespace, name)

    @staticmethod
    def _tell(fake: Insides, canary: Thing, status: Thing) -> None:
        fake.objects.write(kind_of("Canary"), canary, {**canary, "status": status}, by="flagger", sub="status")


def checksum(canary: Mapping[str, Any]) -> str:
    return _digest((canary.get("status") or {}).get("lastAppliedSpec"))


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
