"""An answer that is not of the provider who was asked: a proxy, a captive portal or a gateway gave it.

The trap: it may have any status. A refusal by a proxy says nothing about what the provider would have answered, so it
is never permanent, and no message is given up because of it. Pure.
"""

from __future__ import annotations

import html
import re

_PAGE = re.compile(r"\s*<(!doctype html|html|head|title|body)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL)
_SEARCHED = 4096  # Characters; a title stands at the beginning.
_SHOWN = 80


def is_page(body: str) -> bool:
    """Whether it is a page for people, which no API answers with."""
    return _PAGE.match(body) is not None


def describe_foreign_answer(called: str, status: int, body: str = "") -> str:
    """What came, and what to do, for people. A page's title may repeat the request: the caller removes its secrets."""
    found = _TITLE.search(body[:_SEARCHED])
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    title = "".join(one for one in title if one.isprintable())[:_SHOWN]
    page = f' with the page "{title}"' if title else ""
    answered = f"Something between this machine and {called} answered ({status}{page}), not {called}."
    return f"{answered} Check the proxy and the network of this machine."
