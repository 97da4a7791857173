"""A strict Open Policy Agent: the one call of its Data API that is made, answered by a policy that is a function.

https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer

#: What the policy gives where its document is undefined: the answer has no result then.
UNDEFINED = object()
KEYS = {
    "person",
    "verb",
    "target",
    "at",
    "service",
    "environment",
    "severity",
    "on_call",
    "open_incident",
    "budget_left",
    "broken_glass",
}


class FakeOpa(StrictServer):
    """`policy` gets the input and gives the document at `path`; anything else is undefined, as it is there."""

    def __init__(self, path: str = "vakhta/decision") -> None:
        super().__init__()
        self.path = path
        self.policy: Callable[[Mapping[str, Any]], object] = lambda _: True
        self.loaded = True  #: whether there is a policy for a GET
        self.asked: list[Mapping[str, Any]] = []  #: every input

    def answer(self, call: Call) -> Answer:
        if call.verb == "GET" and call.path == "/health":
            return Answer.json({})
        if call.verb == "GET" and call.path.startswith("/v1/data/"):
            known = call.path == f"/v1/data/{self.path}" and self.loaded
            return Answer.json({"result": {"allow": False}} if known else {})
        if call.verb != "POST" or not call.path.startswith("/v1/data/"):
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer.json({"code": "undefined_document", "message": "no such path"}, status=404)
        if call.query != {"strict-builtin-errors": "true"}:
            self.fault(f"a query of {call.query}")
        if call.headers.get("content-type") != "application/json":
            self.fault(f"a body of {call.headers.get('content-type')}")
        told = call.fields
        given = told.get("input")
        if set(told) - set(call.query) != {"input"} or not isinstance(given, dict):
            self.fault(f"a body that is not one input: {call.body[:200]!r}")
            return Answer.json({"code": "invalid_parameter", "message": "input expected"}, status=400)
        if set(given) != KEYS or set(given["person"]) != {"id", "human", "roles"}:
            self.fault(f"an input of other keys than docs/security.md tells: {sorted(given)}")
        with self._lock:
            self.asked.append(given)
        result = self.policy(given) if call.path == f"/v1/data/{self.path}" else UNDEFINED
        logged = {"decision_id": "4ca636c1-55e4-417a-b1d8-4aceb67960d1"}
        return Answer.json(logged if result is UNDEFINED else {**logged, "result": result})
