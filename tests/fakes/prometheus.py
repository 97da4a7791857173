"""A strict Prometheus: the one call of its API that is asked for, answered with what it is told to."""

from __future__ import annotations

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer


class FakePrometheus(StrictServer):
    """`values` is the instant vector that any expression gives."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[str] = ["1"]
        self.broken: dict[str, str] = {}  #: expression -> why the engine refuses it

    def answer(self, call: Call) -> Answer:
        if (call.verb, call.path) != ("POST", "/api/v1/query"):
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer(status=404)
        if set(call.query) != {"query", "timeout"}:
            self.fault(f"a query of {sorted(call.query)}")
        if why := self.broken.get(call.query["query"]):
            return Answer.json({"status": "error", "errorType": "bad_data", "error": why}, status=400)
        rows = [{"metric": {}, "value": [1700000000.0, value]} for value in self.values]
        return Answer.json({"status": "success", "data": {"resultType": "vector", "result": rows}})
