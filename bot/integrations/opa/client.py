"""Open Policy Agent as a second policy for actions. Implements `bot.access.authorizer.ExternalPolicy`.

The promise: only an explicit allow allows. An undefined document, an unreadable answer and a missing one deny, with
that reason. An error inside the policy must not hide a denial either, so the query asks that a built-in function that
fails makes the whole answer fail.
https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.core.errors import Rejected
from bot.integrations.http import HttpApi
from bot.integrations.opa.settings import OpaSettings

_CALLED = "Open Policy Agent"
_NEEDED = "No action is taken unless it allows it."
_STRICT = [("strict-builtin-errors", "true")]
_MAX_BYTES = 256 * 1024  # Of an answer.
_MAX_REASONS = 3
_DECISION = re.compile(r"[\w-]{1,64}")


class OpaClient:
    """Thread-safe: each query has a connection of its own."""

    def __init__(self, section: OpaSettings) -> None:
        self._path = section.path
        self._api = HttpApi(section.url, called=_CALLED, token=section.token, timeout=section.timeout, most=_MAX_BYTES)

    def denial(self, document: Mapping[str, object]) -> str:
        """Why it is denied, in full sentences for the asker; "" when it is allowed. Never raises."""
        try:
            answer = self._api.get("POST", f"/v1/data/{self._path}", query=_STRICT, body={"input": document})
        except Rejected as refused:
            return f"{refused.message} {_NEEDED}"
        if not isinstance(answer, Mapping):
            return f"The answer of {_CALLED} cannot be read. {_NEEDED}"
        if "result" not in answer:
            return f"{_CALLED} has nothing defined at {self._path}: is the policy loaded, is opa.path right? {_NEEDED}"
        return self._denial(answer["result"], answer.get("decision_id"))

    def _denial(self, result: object, decision: object) -> str:
        verdict: Mapping[object, object] = result if isinstance(result, Mapping) else {"allow": result}
        if verdict.get("allow") is True:
            return ""
        reasons = self._reasons(verdict.get("reasons"))
        if verdict.get("allow") is not False and not reasons:
            return f'{_CALLED} answered neither true nor {{"allow": true}} at {self._path}. {_NEEDED}'
        logged = isinstance(decision, str) and _DECISION.fullmatch(decision)
        named = f" See decision {decision} in its log." if logged else ""
        return f"{_CALLED} denies it: {reasons or 'no reason given.'}{named}"

    def _reasons(self, given: object) -> str:
        """The policy's reasons as sentences; "" where it gives no text."""
        several = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        texts = [one for one in several if isinstance(one, str) and one.strip()]
        shown = [self._api.sanitize(one) for one in texts[:_MAX_REASONS]]
        more = [f"And {len(texts) - _MAX_REASONS} more."] if len(texts) > _MAX_REASONS else []
        return " ".join([*shown, *more])
