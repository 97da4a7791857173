"""The answer to a request that a platform delivers again, and messages that an account gets above any answer.

The promise: an answer is shown again only to the same person with the same account. If the account belongs to somebody
else or to nobody by the time of the second delivery, it does not get the answer of its former owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.request import Reply, Request
from bot.store.transaction import StoredReply

#: The answer to a second delivery while the first is still being handled.
UNDER_WAY = "This was received before. `approvals` lists the plans that wait for approval, `runs` lists what was done."
_NOT_YOURS = "This was received before, and its answer is not for this account. Nothing was done."


def repeat_answer(before: StoredReply, request: Request) -> Reply:
    """The stored answer. One given to an unlinked account is repeated to it, even if that request linked it."""
    same = before.account == request.account and before.person in ("", request.by.id)
    return Reply(text=before.text if same else _NOT_YOURS, ok=before.ok and same, repeated=True)


def prepend_messages(messages: Sequence[str], reply: Reply) -> Reply:
    """The reply with the account's pending messages above it."""
    return replace(reply, text="\n".join([*messages, reply.text])) if messages else reply
