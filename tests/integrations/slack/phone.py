"""Block Kit as Slack's app shows it on a phone: one column, 390 pixels wide, in HTML for a browser.

Slack draws emoji as pictures of its own, so the marks of a card are drawn here as well: a machine of tests may have no
font with them. Times are those of a reader one hour east of UTC.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

WIDTH = 390
_READER = timezone(timedelta(hours=1))
_TOKEN = re.compile(
    r"<!date\^(?P<stamp>\d+)\^(?P<format>[^|>^]*)\|[^>]*>|<@(?P<user>\w+)>|<(?P<link>https?://[^>|]+)>"
    r"|(?<!`)`(?P<code>[^`\n]+)`(?!`)|(?<!\w)\*(?P<bold>[^*\n]+)\*(?!\w)"
)
_CIRCLE = '<i class="circle" style="background:{}"></i>'
_DRAWN = {
    "🔴": _CIRCLE.format("#dd2e44"),
    "🟠": _CIRCLE.format("#f4900c"),
    "🟡": _CIRCLE.format("#fdcb58"),
    "🔵": _CIRCLE.format("#55acee"),
    "👀": '<i class="eyes"><b></b><b></b></i>',
    "✅": '<i class="done">✓</i>',
}
_STYLE = """
* { box-sizing: border-box; margin: 0 }
html { overflow: hidden }
body { display: flow-root; width: 390px; color: #1d1c1d; background: #fff;
  font: 15px/21px Lato, "Noto Sans", "DejaVu Sans", sans-serif }
.notice { margin: 10px; padding: 9px 12px; border-radius: 14px; background: #e9e9ee; font-size: 13px;
  line-height: 17px }
.notice b { display: block } .notice span { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical;
  overflow: hidden }
.message { display: grid; grid-template-columns: 36px 1fr; gap: 10px; padding: 6px 14px 14px;
  border-top: 1px solid #ddd }
.avatar { width: 36px; height: 36px; border-radius: 8px; background: #1f4a40; color: #fff; font: bold 18px/36px serif;
  text-align: center }
.name small { background: #ddd; border-radius: 2px; font-size: 10px; padding: 0 3px } .name time { color: #616061;
  font-size: 12px; margin-left: 5px }
.body { min-width: 0 } .body > * { margin-top: 7px; overflow-wrap: anywhere }
h1 { font-size: 18px; line-height: 23px }
code { font: 13px "DejaVu Sans Mono", monospace; color: #c01343; background: #f6f6f6; border: 1px solid #ddd;
  border-radius: 3px; padding: 1px 3px }
blockquote { border-left: 4px solid #ddd; padding-left: 10px }
.context { font-size: 12px; line-height: 17px; color: #616061 }
.user { background: #e8f1f8; color: #1264a3; border-radius: 3px; padding: 0 2px }
.actions { display: flex; flex-wrap: wrap; gap: 8px }
.actions span { border: 1px solid #bbb; border-radius: 5px; padding: 4px 10px; font-weight: bold; font-size: 13px }
.actions .primary { background: #007a5a; border-color: #007a5a; color: #fff } .actions .link { color: #1264a3 }
.circle { display: inline-block; width: .95em; height: .95em; border-radius: 50%; vertical-align: -.12em }
.done { display: inline-block; width: 1em; height: 1em; border-radius: 3px; background: #77b255; color: #fff; font: bold
  .85em/1em "DejaVu Sans"; text-align: center }
.eyes b { display: inline-block; width: .55em; height: .8em; border-radius: 50%; border: .12em solid #8899a6;
  background: radial-gradient(circle at 35% 55%, #292f33 28%, #fff 30%); vertical-align: -.1em }
"""


def page(message: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    """The message as a notification and as a card. `names`: account -> display name."""
    drawn = "".join(_BLOCKS[block["type"]](block, names, now) for block in message["blocks"])
    notice = _marks(html.escape(html.unescape(message["text"])))
    clock = now.astimezone(_READER)
    return (
        f'<!doctype html><meta charset="utf-8"><title>Slack</title><style>{_STYLE}</style>'
        f'<div class="notice"><b>#incidents</b><span>Vakhta: {notice}</span></div>'
        f'<div class="message"><div class="avatar">V</div><div class="body"><div class="name"><b>Vakhta</b> '
        f"<small>APP</small><time>{clock:%H:%M}</time></div>{drawn}</div></div>"
    )


def _header(block: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    return f"<h1>{_text(block['text'], names, now)}</h1>"


def _section(block: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    texts = [block["text"]] if "text" in block else block["fields"]
    return "<div>" + "".join(f"<div>{_text(text, names, now)}</div>" for text in texts) + "</div>"


def _context(block: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    return "".join(f'<div class="context">{_text(one, names, now)}</div>' for one in block["elements"])


def _actions(block: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    row = "".join(
        f'<span class="{one.get("style", "")} {"link" if "url" in one else ""}">{_text(one["text"], names, now)}</span>'
        for one in block["elements"]
    )
    return f'<div class="actions">{row}</div>'


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str], datetime], str]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
}


def _text(given: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    if given["type"] == "plain_text":
        return _marks(_escaped(given["text"])).replace("\n", "<br>")
    rows = [_row(line, names, now) for line in given["text"].split("\n")]
    return (
        "<br>".join(rows).replace("</blockquote><br><blockquote>", "<br>").replace("</blockquote><br>", "</blockquote>")
    )


def _row(line: str, names: Mapping[str, str], now: datetime) -> str:
    quote = line.startswith("> ")
    drawn = _marks(_drawn(line[2:] if quote else line, names, now))
    return f"<blockquote>{drawn}</blockquote>" if quote else drawn


def _drawn(line: str, names: Mapping[str, str], now: datetime) -> str:
    """Slack's mark-up as HTML; what is between is escaped already, in Slack's own way."""
    pieces: list[str] = []
    end = 0
    for found in _TOKEN.finditer(line):
        pieces += [_escaped(line[end : found.start()]), _token(found, names, now)]
        end = found.end()
    return "".join([*pieces, _escaped(line[end:])])


def _token(found: re.Match[str], names: Mapping[str, str], now: datetime) -> str:
    kind = found.lastgroup if found.lastgroup != "format" else "stamp"
    match kind:
        case "stamp":
            return _date(int(found["stamp"]), found["format"], now)
        case "user":
            return f'<span class="user">@{html.escape(names.get(found["user"], found["user"]))}</span>'
        case "link":
            return f'<span class="link">{_escaped(found["link"])}</span>'
        case "code":
            return f"<code>{_escaped(found['code'])}</code>"
        case _:
            return f"<b>{_escaped(found['bold'])}</b>"


def _date(stamp: int, written: str, now: datetime) -> str:
    moment, today = datetime.fromtimestamp(stamp, UTC).astimezone(_READER), now.astimezone(_READER).date()
    days = {today: "Today", today - timedelta(days=1): "Yesterday"}
    day = days.get(moment.date(), f"{moment:%b %-d}")
    return written.replace("{date_short_pretty}", day).replace("{time}", f"{moment:%H:%M}")


def _escaped(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)


def _marks(drawn: str) -> str:
    for mark, shape in _DRAWN.items():
        drawn = drawn.replace(mark, shape)
    return drawn
