"""What Slack refuses or turns into a ping: Block Kit's limits as its documentation tells them, kept by the fake.

Lengths are counted with the escapes in them, which is the stricter reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

Block = dict[str, object]

#: `<!here>`, `<@U1>`, `<#C1>`, `<!subteam^S1>`: what Slack makes a mention of.
_CONTROL = re.compile(r"<[!@#][^>]*>")
_AT_ALL = re.compile(r"@(?:here|channel|everyone)\b")
#: The only links with a label would be ours; a label can say one place and lead to another.
_LABELLED = re.compile(r"<https?://[^>|]*\|[^>]*>")
#: A bare `<` or `&` that is no escape and no link; of mentions and dates, only where mark-up is drawn.
_BARE = re.compile(r"&(?!amp;|lt;|gt;)|<(?!https?://[^\s<>|]+>)")
#: `<!date^1392734382^{date_short} {time}|2014-02-18 14:39 UTC>`: drawn in the reader's time, and no mention. The format
#: needs a token that Slack knows, and the fallback may not be missing.
_DATE = re.compile(r"<!date\^\d{1,11}\^(?P<format>[^<>|^]+)(?:\^https?://[^\s<>|^]+)?\|[^<>|]+>")
_DATE_TOKEN = re.compile(r"\{(\w*)\}")
_DATE_TOKENS = {"date_num", "date", "date_short", "date_long", "time", "time_secs", "ago"}
_DATE_TOKENS |= {"date_slash", "date_pretty", "date_short_pretty", "date_long_pretty", "day_divider_pretty"}
#: What each kind of block and element may have.
_PARTS = {
    "header": {"type", "block_id", "text"},
    "section": {"type", "block_id", "text", "fields", "accessory", "expand"},
    "context": {"type", "block_id", "elements"},
    "actions": {"type", "block_id", "elements"},
    "button": {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"},
    "confirm": {"title", "text", "confirm", "deny", "style"},
    "plain_text": {"type", "text", "emoji"},
    "mrkdwn": {"type", "text", "verbatim"},
}
_STYLES = {"primary", "danger"}
#: A code span: mark-up, that is drawn in `mrkdwn` and is a literal backtick anywhere else.
_CODE = re.compile(r"(?<!`)`[^`\n]*[^`\s][^`\n]*`(?!`)")
_KNOWN = {
    "chat.postMessage": {"channel", "text", "blocks", "thread_ts", "metadata", "parse", "link_names", "unfurl_links"}
    | {"unfurl_media", "mrkdwn"},
    "chat.update": {"channel", "ts", "text", "blocks", "parse", "link_names", "metadata"},
    "chat.postEphemeral": {"channel", "user", "text", "blocks", "thread_ts", "parse", "link_names"},
    "conversations.history": {"channel", "oldest", "latest", "limit", "cursor", "inclusive", "include_all_metadata"},
    "conversations.replies": {"channel", "ts", "oldest", "limit", "cursor", "inclusive", "include_all_metadata"},
    "conversations.info": {"channel", "include_locale", "include_num_members"},
    "users.info": {"user"},
    "views.publish": {"user_id", "view", "hash"},
    "views.open": {"trigger_id", "view"},
    "usergroups.users.list": {"usergroup", "include_disabled", "team_id"},
    "auth.test": set(),
    "apps.connections.open": {"app_token"},
}
_TOKEN_FREE = {"token"}


def unknown_fields(method: str, fields: dict[str, object]) -> list[str]:
    """The parameters that this method does not have."""
    return sorted(set(fields) - _KNOWN[method] - _TOKEN_FREE)


def knows(method: str) -> bool:
    return method in _KNOWN


def breaches(blocks: list[Block], *, most: int = 50) -> list[str]:
    """Why Slack would answer `invalid_blocks`."""
    found = [f"{len(blocks)} blocks, {most} allowed"] if len(blocks) > most else []
    for block in blocks:
        kind = block.get("type")
        found += _strange(block, str(kind))
        match kind:
            case "divider":
                found += [f"a divider with {sorted(block)}"] if set(block) != {"type"} else []
            case "header":
                found += text_breaches(block.get("text"), 150, plain=True, what="header")
            case "section":
                found += _section(block)
            case "context":
                elements = _rows(block)
                found += [f"{len(elements)} context elements"] if not 1 <= len(elements) <= 10 else []
                for element in elements:
                    found += text_breaches(element, 3000, plain=False, what="context")
            case "actions":
                found += _actions(_rows(block))
            case "input":
                found += _input(block)
            case _:
                found.append(f"block type {kind!r}")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    return found + (["block_id used twice"] if len(set(ids)) != len(ids) else [])


def pings(text: str, blocks: list[Block], *, parsed: bool) -> list[str]:
    """Everything in the message that would notify somebody or show a link under another name.

    `parsed`: whether Slack was told to look for names in the text by itself (parse full, link_names).
    """
    found: list[str] = []
    for written, is_text, verbatim in [(text, True, not parsed), *_texts(blocks)]:
        piece = written
        if is_text:
            piece = _DATE.sub("", piece)
            found += _CONTROL.findall(piece) + _LABELLED.findall(piece)
            piece = _CONTROL.sub("", piece)
        if is_text and not verbatim:
            found += _AT_ALL.findall(piece)
        found += [f"unescaped {bare!r} in {piece[:60]!r}" for bare in _BARE.findall(piece)]
    return found


def unrendered(text: str, blocks: list[Block], *, mrkdwn: bool) -> list[str]:
    """Code spans where Slack draws none, so that people would read backticks. `mrkdwn`: whether `text` is drawn."""
    literal = [piece for piece, drawn, _ in _texts(blocks) if not drawn] + ([] if mrkdwn else [text])
    return [f"literal backticks in {piece[:80]!r}" for piece in literal if _CODE.search(piece)]


def _texts(blocks: list[Block]) -> Iterator[tuple[str, bool, bool]]:
    """(text, is it mrkdwn, is it verbatim) of everything in the blocks."""
    for block in blocks:
        rows = [*_rows(block), *(row.get("text") for row in _rows(block)), block.get("label"), block.get("hint")]
        rows += _rows(block, "fields")
        for dialog in (row.get("confirm") for row in _rows(block)):
            rows += dialog.values() if isinstance(dialog, dict) else []
        element = block.get("element")
        options = element.get("options") if isinstance(element, dict) else None
        rows += [row["text"] for row in options] if isinstance(options, list) else []
        for holder in [block.get("text"), *rows]:
            if isinstance(holder, dict) and isinstance(holder.get("text"), str):
                yield holder["text"], holder.get("type") == "mrkdwn", bool(holder.get("verbatim"))


def _actions(elements: list[Block]) -> list[str]:
    found = [] if 1 <= len(elements) <= 25 else [f"{len(elements)} actions, 1 to 25 allowed"]
    ids = [element.get("action_id") for element in elements]
    found += ["action_id used twice in a block"] if len(set(ids)) != len(ids) else []
    for element in elements:
        found += [] if element.get("type") == "button" else [f"an action of type {element.get('type')!r}"]
        found += _strange(element, "button") + _style(element)
        found += _confirm(element["confirm"]) if "confirm" in element else []
        found += text_breaches(element.get("text"), 75, plain=True, what="button")
        value, url, act = element.get("value", ""), element.get("url"), element.get("action_id")
        found += ["button value over 2000"] if not isinstance(value, str) or len(value) > 2000 else []
        found += ["action_id missing or over 255"] if not isinstance(act, str) or not 0 < len(act) <= 255 else []
        found += ["button url"] if url is not None and not _is_url(url) else []
    return found


def _section(block: Block) -> list[str]:
    """Text, fields, or both."""
    found = [] if block.keys() & {"text", "fields"} else ["a section without text and fields"]
    if "text" in block:
        found += text_breaches(block["text"], 3000, plain=False, what="section")
    if "fields" in block:
        fields = _rows(block, "fields")
        found += [f"{len(fields)} fields, 1 to 10 allowed"] if not 1 <= len(fields) <= 10 else []
        for field in fields:
            found += text_breaches(field, 2000, plain=False, what="field")
    return found


def _confirm(dialog: object) -> list[str]:
    if not isinstance(dialog, dict):
        return ["a confirm that is no object"]
    found = _strange(dialog, "confirm") + _style(dialog)
    for part, most in {"title": 100, "text": 300, "confirm": 30, "deny": 30}.items():
        found += text_breaches(dialog.get(part), most, plain=True, what=f"confirm's {part}")
    return found


def _style(part: Block) -> list[str]:
    return [f"style {part['style']!r}"] if "style" in part and part["style"] not in _STYLES else []


def _strange(part: Block, kind: str) -> list[str]:
    strange = part.keys() - _PARTS.get(kind, part.keys())
    return [f"{kind} with {sorted(strange)}"] if strange else []


def _dates(text: str) -> list[str]:
    """Dates that Slack would show as they are written."""
    found = [f"no date: {text[at : at + 60]!r}" for at in _places(text) if not _DATE.match(text, at)]
    for date in _DATE.finditer(text):
        tokens = _DATE_TOKEN.findall(date["format"])
        if not tokens or not set(tokens) <= _DATE_TOKENS:
            found.append(f"no format of a date: {date['format']!r}")
    return found


def _places(text: str) -> list[int]:
    return [found.start() for found in re.finditer("<!date", text)]


def _input(block: Block) -> list[str]:
    strange = block.keys() - {"type", "block_id", "label", "hint", "optional", "element"}
    found = [f"an input with {sorted(strange)}"] if strange else []
    found += text_breaches(block.get("label"), 2000, plain=True, what="label")
    found += text_breaches(block["hint"], 2000, plain=True, what="hint") if "hint" in block else []
    if not 0 < len(str(block.get("block_id", ""))) <= 255 or not isinstance(block.get("optional", False), bool):
        found.append("block_id missing or over 255, or optional that is neither")
    element: Any = block.get("element")
    match element:
        case {"type": "plain_text_input", "action_id": str()}:
            most = element.get("max_length", 1)
            found += [f"max_length {most!r}, 1 to 3000 allowed"] if not 1 <= most <= 3000 else []
            strange = element.keys() - {"type", "action_id", "multiline", "max_length", "placeholder", "initial_value"}
        case {"type": "static_select", "action_id": str(), "options": [*options]}:
            found += [f"{len(options)} options, 1 to 100 allowed"] if not 1 <= len(options) <= 100 else []
            for option in options:
                found += text_breaches(option["text"], 75, plain=True, what="option")
                found += ["option value of 0 or over 150"] if not 0 < len(option["value"]) <= 150 else []
            strange = element.keys() - {"type", "action_id", "options", "placeholder", "initial_option"}
        case _:
            return [*found, f"an element {element!r}"]
    return found + ([f"an element with {sorted(strange)}"] if strange else [])


def _is_url(url: object) -> bool:
    return isinstance(url, str) and len(url) <= 3000 and urlsplit(url).scheme in {"http", "https"}


def text_breaches(told: object, most: int, *, plain: bool, what: str) -> list[str]:
    if not isinstance(told, dict) or told.get("type") not in {"plain_text", "mrkdwn"}:
        return [f"{what} without a text object"]
    if plain and told["type"] != "plain_text":
        return [f"{what} must be plain_text"]
    text = told.get("text")
    if not isinstance(text, str) or not 0 < len(text) <= most:
        return [f"{what} text of {len(str(text))}, 1 to {most} allowed"]
    return _strange(told, str(told["type"])) + (_dates(text) if told["type"] == "mrkdwn" else [])


def _rows(block: Block, part: str = "elements") -> list[Block]:
    rows = block.get(part)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
