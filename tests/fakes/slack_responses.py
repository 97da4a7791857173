"""What comes back for one interaction in Slack: through its response_url, or in the answer to a slash command."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.fakes.calls import Answer, Call
from tests.fakes.slack_rules import unrendered
from tests.fakes.slack_values import Whisper, rows_of

_FIELDS = {"text", "blocks", "response_type", "replace_original"}
_USES = 5  #: of one response_url


class Responses:
    """`post`: put such a message into the channel, or say why not; `replace`: the same for one that stands there."""

    def __init__(
        self,
        *,
        fault: Callable[[str], None],
        post: Callable[[dict[str, object]], Answer],
        replace: Callable[[dict[str, object]], Answer],
    ) -> None:
        self.whispers: list[Whisper] = []
        self._fault, self._post, self._replace = fault, post, replace
        self._about: dict[str, str] = {}
        self._uses: dict[str, int] = {}
        self._count = itertools.count(1)

    def path(self, message: str = "") -> str:
        """A new response_url's path; `message` is the ts of the message whose button was pressed."""
        path = f"/respond/{next(self._count)}"
        self._about[path], self._uses[path] = message, 0
        return path

    def take(self, call: Call) -> Answer:
        """One request to a response_url."""
        if call.path not in self._about:
            return Answer(status=404, body=b"used_url")
        self._uses[call.path] += 1
        if self._uses[call.path] > _USES:
            self._fault(f"{call.path} was used more than {_USES} times")
            return Answer(status=404, body=b"used_url")
        return self.show(call.fields, call.path)

    def show(self, told: dict[str, object], path: str = "") -> Answer:
        """Let people see it; `told` as in the answer to a slash command."""
        strange = told.keys() - _FIELDS
        if strange or not isinstance(told.get("text"), str):
            self._fault(f"an answer with {sorted(strange)}: {told}")
        for literal in unrendered("", rows_of(told.get("blocks") or []), mrkdwn=True):
            self._fault(literal)
        if told.get("replace_original") is True:
            return self._replace({**told, "ts": self._about[path]})
        if told.get("response_type") == "in_channel":
            return self._post(told)
        if told.get("response_type") != "ephemeral" or (path and told.get("replace_original") is not False):
            self._fault(f"an answer that does not say for whom it is: {told}")
        self.whispers.append(Whisper(text=str(told["text"]), response_url=path))
        return Answer(body=b"ok")
