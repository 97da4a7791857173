"""What a failed request to an HTTP API says to `vakhta check --live`: a refusal, or no answer at all."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.errors import Rejected
from bot.core.live_check import LiveAnswer, failed, no_answer

#: Codes of `HttpApi.get` after which nothing is known of the settings; the others are the other side's refusal.
_NO_ANSWER = frozenset({"unreachable", "failed", "no_answer", "unreadable", "too_many", "proxy"})


def answered(called: str, ask: Callable[[], LiveAnswer]) -> LiveAnswer:
    """What `ask` answers, or why the system `called` refused or gave no answer."""
    try:
        return ask()
    except Rejected as refused:
        message = refused.message.replace(" Nothing was done.", "")
        return failed(called, message, refused=refused.code not in _NO_ANSWER)


def unreadable(called: str, key: str) -> LiveAnswer:
    """It answered, and not as its API does. `key`: the settings key of its address."""
    return no_answer(f"The answer is not one of {called}'s API. Check {key}, and a proxy in between.")
