"""An answer that is not of the provider who was asked: a proxy, a captive portal or a gateway gave it.

The trap: it may have any status. A refusal by a proxy says nothing about what the provider would have answered, so it
is never permanent, and no message is given up because of it. Pure.
"""

from __future__ import annotations

import html
import re

_TITLE = re.compile(r"<title[^>]*>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL)
_SEARCHED = 4096  # Characters; a title stands at the beginning.
_SHOWN = 80


def describe_foreign_answer(called: str, status: int, body: str = "") -> str:
    """What came, and what to do, for people. A page's title may repeat the request: the caller removes its secrets."""
    found = _TITLE.search(body[:_SEARCHED])
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    title = "".join(one for one in title if one.isprintable())[:_SHOWN]
    page = f' with the page "{title}"' if title else ""
    return (
        f"Something between this machine and {called} answered ({status}{page}), not {called}. Check the proxy and the"
        " network of this machine. It is tried again."
    )
