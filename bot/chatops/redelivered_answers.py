"""What an act is answered that a platform delivers again, and what an account is told above any answer.

The promise: what was answered is shown again to that person with that account alone. An account that is somebody
else's, or nobody's, by the time of the second delivery is not told what its last owner was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.request import Reply, Request
from bot.store.transaction import StoredReply

#: What a second delivery of an act is told while the first is still being looked at.
UNDER_WAY = "That was taken up when it first came. `approvals` shows what waits for a yes, `runs` what was done."
_NOT_YOURS = "That was taken up before, and what was answered then is not for this account. Nothing was done."


def repeat_answer(before: StoredReply, request: Request) -> Reply:
    """What nobody's account was answered it is answered again, also where it has been linked by that very act."""
    same = before.account == request.account and before.person in ("", request.by.id)
    return Reply(text=before.text if same else _NOT_YOURS, ok=before.ok and same, repeated=True)


def prepend_messages(told: Sequence[str], reply: Reply) -> Reply:
    """The answer, below what its account has still to be told."""
    return replace(reply, text="\n".join([*told, reply.text])) if told else reply
