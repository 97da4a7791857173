"""Open Policy Agent, asked for a second opinion on an action. Implements `rights.ExternalPolicy`.

The promise: only a clear yes is one. A document that is undefined, an answer that nobody understands and one that does
not come are objections, and say so. A mistake inside the policy must not make a denial vanish either, so built-in
functions that fail are asked to fail the whole answer.
https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.core.errors import Rejected
from bot.integrations.http import HttpApi
from bot.integrations.opa.settings import OpaSettings

_CALLED = "Open Policy Agent"
_NEEDED = "Without its yes no action is taken."
_STRICT = [("strict-builtin-errors", "true")]
_MOST = 256 * 1024  # Bytes of an answer.
_MOST_REASONS = 3
_DECISION = re.compile(r"[\w-]{1,64}")


class OpaClient:
    """Safe to share between threads: each question has a connection of its own."""

    def __init__(self, section: OpaSettings) -> None:
        self._path = section.path
        self._api = HttpApi(section.url, called=_CALLED, token=section.token, timeout=section.timeout, most=_MOST)

    def denial(self, document: Mapping[str, object]) -> str:
        """Why not, in full sentences for the asker; "" when there is nothing against it. Never raises."""
        try:
            told = self._api.get("POST", f"/v1/data/{self._path}", query=_STRICT, body={"input": document})
        except Rejected as refused:
            return f"{refused.message} {_NEEDED}"
        if not isinstance(told, Mapping):
            return f"{_CALLED} answered what is not understood. {_NEEDED}"
        if "result" not in told:
            return f"{_CALLED} has nothing defined at {self._path}: is the policy loaded, is opa.path right? {_NEEDED}"
        return self._against(told["result"], told.get("decision_id"))

    def _against(self, result: object, decision: object) -> str:
        message: Mapping[object, object] = result if isinstance(result, Mapping) else {"allow": result}
        if message.get("allow") is True:
            return ""
        reasons = self._reasons(message.get("reasons"))
        if message.get("allow") is not False and not reasons:
            return f'{_CALLED} answered neither true nor {{"allow": true}} at {self._path}. {_NEEDED}'
        logged = isinstance(decision, str) and _DECISION.fullmatch(decision)
        named = f" Its decision {decision} is in its log." if logged else ""
        return f"{_CALLED} denies it: {reasons or 'no reason given.'}{named}"

    def _reasons(self, told: object) -> str:
        """The policy's own, as sentences; "" where it gives none that is a text."""
        several = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        texts = [one for one in several if isinstance(one, str) and one.strip()]
        shown = [self._api.sanitize(one) for one in texts[:_MOST_REASONS]]
        more = [f"And {len(texts) - _MOST_REASONS} more."] if len(texts) > _MOST_REASONS else []
        return " ".join([*shown, *more])
