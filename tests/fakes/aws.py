"""An unkind AWS: what moto can do is moto's, what it cannot is told here, and any call can be made to go wrong.

moto 5.2 takes a request for the future, a key that is disabled, and a right that is missing, and its instances are
available at once. A test puts its own answer before moto's with `replace`, or changes moto's with `amend`.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
#: Headers of one connection, which are not passed on.
_OWN = {"connection", "transfer-encoding", "content-length", "expect", "keep-alive", "date", "server"}

#: Told the parameters, answers; None: moto answers after all.
Replace = Callable[[Mapping[str, Any]], Answer | None]
#: Told moto's body, gives the one that is sent.
Amend = Callable[[bytes], bytes]


class FakeAws(StrictServer):
    """In front of the moto at that port. Calls are known as ("rds", "DescribeDBInstances"), S3's by verb and path."""

    def __init__(self, moto_port: int) -> None:
        super().__init__()
        self._moto_port = moto_port
        self._replaced: dict[tuple[str, str], Replace] = {}
        self._amended: dict[tuple[str, str], Amend] = {}
        self._served: dict[str, Callable[[str, Mapping[str, Any]], Answer]] = {}
        self._after: dict[tuple[str, str], Callable[[Mapping[str, Any]], None]] = {}
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []  #: service, operation, parameters
        self.lost: set[tuple[str, str]] = set()  #: calls that have their effect, and whose answer is lost, once

    def replace(self, service: str, operation: str, answer: Replace | Answer) -> None:
        self._replaced[service, operation] = answer if callable(answer) else lambda _: answer

    def amend(self, service: str, operation: str, change: Amend) -> None:
        self._amended[service, operation] = change

    def serve(self, service: str, answer: Callable[[str, Mapping[str, Any]], Answer]) -> None:
        """A whole service that moto does not have; told "GET /path" and the parameters."""
        self._served[service] = answer

    def after(self, service: str, operation: str, do: Callable[[Mapping[str, Any]], None]) -> None:
        """Done when moto has answered that call well."""
        self._after[service, operation] = do

    def forget(self, service: str, operation: str) -> None:
        """From here on moto answers that call alone."""
        self._replaced.pop((service, operation), None)
        self._amended.pop((service, operation), None)

    def deny(self, service: str, operation: str, action: str = "") -> None:
        asked = action or f"{service}:{operation}"
        said = f"User: arn:aws:iam::123456789012:user/bot is not authorized to perform: {asked} on resource: *"
        self.replace(service, operation, error(service, "AccessDenied", said, status=403))

    def times(self, service: str, operation: str) -> int:
        """How often it was asked for."""
        return sum(1 for one in self.asked if one[:2] == (service, operation))

    def parameters(self, service: str, operation: str) -> Mapping[str, Any]:
        """Those of the last such call."""
        return next(told for one, called, told in reversed(self.asked) if (one, called) == (service, operation))

    def answer(self, call: Call) -> Answer:
        service, operation, told = _read(call)
        with self._lock:
            self.asked.append((service, operation, told))
        replaced = self._replaced.get((service, operation))
        answer = replaced(told) if replaced else None
        if answer is None and service in self._served:
            with self._lock:
                answer = self._served[service](operation, told)
        answer = answer or self._moto(call)
        if answer.status < 300 and (after := self._after.get((service, operation))):
            with self._lock:
                after(told)
        if change := self._amended.get((service, operation)):
            answer = Answer(status=answer.status, body=change(answer.body), headers=answer.headers)
        if (service, operation) in self.lost:
            self.lost.discard((service, operation))
            return Answer(status=500, body=b"<Error><Code>InternalFailure</Code></Error>")
        return answer

    def _moto(self, call: Call) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._moto_port, timeout=60)
        try:
            query = f"?{urlencode(call.asked)}" if call.asked else ""
            headers = {name: value for name, value in call.headers.items() if name not in _OWN}
            connection.request(call.verb, f"{call.path}{query}", body=call.body or None, headers=headers)
            with connection.getresponse() as response:
                kept = {name: value for name, value in response.getheaders() if name.lower() not in _OWN}
                if call.verb == "HEAD" and (length := response.getheader("Content-Length")):
                    kept["Content-Length"] = length
                return Answer(status=response.status, body=response.read(), headers=kept)
        finally:
            connection.close()


def error(service: str, code: str, message: str = "", *, status: int = 400) -> Answer:
    """An error in the protocol of that service."""
    if service in {"kms", "secretsmanager", "backup"}:
        return Answer.json({"__type": code, "message": message}, status=status, headers={"x-amzn-ErrorType": code})
    inner = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    whole = inner if service == "s3" else f"<ErrorResponse>{inner}<RequestId>1</RequestId></ErrorResponse>"
    return Answer(status=status, body=whole.encode(), headers={"Content-Type": "application/xml"})


def _read(call: Call) -> tuple[str, str, Mapping[str, Any]]:
    scope = _SCOPE.search(call.headers.get("authorization", ""))
    service = scope.group(1) if scope else "s3"
    if target := call.headers.get("x-amz-target"):
        return service, target.rpartition(".")[2], json.loads(call.body or b"{}")
    if service in {"rds", "sts", "ec2"}:
        told = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        return service, told.pop("Action", ""), told
    body = json.loads(call.body) if service == "backup" and call.body else {}
    return service, f"{call.verb} {call.path}", {**call.query, **body}
