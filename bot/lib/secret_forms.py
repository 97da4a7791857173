"""Secrets that cannot be meant: a variable that nobody replaced, a header instead of its token, half of a file.

No message repeats any of the value.
"""

from __future__ import annotations

import re

_VARIABLE = re.compile(
    r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\$\(.*\)|\{\{.*\}\}|%[A-Z_]+%|(?:env|file|vault|aws-sm):\S+|<[^<>]*>"
)
_PLACEHOLDER = re.compile(r"change[-_ ]?me|to[-_ ]?do|placeholder|replace[-_ ]?me|\.{3,}|x{3,}|\*{3,}", re.IGNORECASE)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token)[ =]|Authorization:|Token token=", re.IGNORECASE)
_SHORT = 8
_QUOTES = "\"'`"


def fault_in(secret: str) -> str:
    """Why this can be no secret, and what to do; "" if it may be one."""
    if _VARIABLE.fullmatch(secret.strip()) or _PLACEHOLDER.fullmatch(secret.strip()):
        return "is a placeholder and not the secret; write the secret here as ${env:NAME} or ${file:PATH}"
    if _SCHEME.match(secret):
        return "begins with a header's name or scheme; give the token alone"
    if any(ord(one) < ord(" ") or one == "\x7f" for one in secret.strip()):
        return "has more than one line, or a control character; give the secret alone"
    return ""


def doubt_in(secret: str) -> str:
    """Why this is probably not the secret as it was meant, although it may be one; "" if nothing is unusual."""
    if len(secret) > 1 and secret[0] == secret[-1] and secret[0] in _QUOTES:
        return "is in quotes that are part of the value; remove them where the value is set, such as in an env file"
    if len(secret) < _SHORT:
        return "is shorter than 8 characters, so it can be guessed, or is not whole"
    if secret != secret.strip():
        return "begins or ends with a space; remove it"
    return ""
