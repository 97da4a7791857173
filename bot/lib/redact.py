"""Finds and removes text that looks like a secret, in logs and in alerts.

It knows the patterns of well-known credentials, so it cannot promise to find every secret: it is a second line of
defence behind `SecretStr`. It never raises, and its cost is linear in the text, because the text may be hostile: a
match starts only where a token can start, or its repetitions are bounded or possessive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REDACTED = "[redacted]"
#: Characters that `shown` reads of a text at most.
_MOST_READ = 20_000

#: Where a token can start: not inside another, but right after an escape in a URL (%20) or in JSON (\n).
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_NAMED = "|".join(
    f"(?<={name}=)"
    for name in ("password", "passwd", "secret", "token", "api_key", "api-key", "apikey", "routing_key", "access_key")
)


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One kind of secret. `pattern` is tried only on texts that contain one of `needles`, which is cheaper."""

    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    instead: str = REDACTED


SECRET_PATTERNS: dict[str, SecretPattern] = {
    "private key": SecretPattern(
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
    ),
    "aws key id": SecretPattern(
        ("AKIA", "ASIA"), re.compile(r"A(?<![A-Za-z0-9]A)(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
    ),
    "aws secret": SecretPattern(
        ("ecretAccessKey", "secret_access_key", "SECRET_ACCESS_KEY"),
        re.compile(
            r"(?:(?<=[Ss]ecretAccessKey)|(?<=secret_access_key)|(?<=SECRET_ACCESS_KEY))"
            r"""["'=:\s]{1,5}[A-Za-z0-9/+]{40}"""
        ),
    ),
    "slack": SecretPattern(
        ("xox", "xapp"), re.compile(r"x(?<![A-Za-z0-9]x)(?:ox[a-z](?:\.xox[a-z])?|app)-[A-Za-z0-9-]{8,}")
    ),
    "slack webhook": SecretPattern(
        ("://hooks.slack",),
        re.compile(r"(://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[A-Za-z0-9_/-]{8,}"),
        rf"\1{REDACTED}",
    ),
    # Telegram's bot token follows "bot" in its URLs; a digest ("sha256:...") is no token.
    "telegram": SecretPattern(
        (":",),
        re.compile(r"(?:(?<=bot)|(?<![A-Za-z0-9]))[0-9]{3,16}:[A-Za-z0-9_-]{34,35}(?![A-Za-z0-9_-])"),
    ),
    "jwt": SecretPattern(
        ("eyJ",),
        re.compile(rf"{_START}eyJ[A-Za-z0-9_-]{{6,}}+\.eyJ[A-Za-z0-9_-]{{6,}}+\.[A-Za-z0-9_-]*"),
    ),
    "github": SecretPattern(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"g(?<![A-Za-z0-9]g)(?:h[pousr]_[A-Za-z0-9]{20,}|ithub_pat_[A-Za-z0-9_]{20,})"),
    ),
    "gitlab": SecretPattern(("glpat-",), re.compile(r"glpat-[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]{2,})*")),
    "google": SecretPattern(("AIza",), re.compile(r"A(?<![A-Za-z0-9]A)Iza[A-Za-z0-9_-]{30,}")),
    "npm": SecretPattern(("npm_",), re.compile(r"n(?<![A-Za-z0-9]n)pm_[A-Za-z0-9]{30,}")),
    "stripe": SecretPattern(("k_live_",), re.compile(r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{10,}")),
    "basic": SecretPattern(
        ("asic ",),
        re.compile(r"""(uthorization["']?\s{0,4}[:=]\s{0,4}["']?[Bb]asic )[A-Za-z0-9+/_-]{4,}={0,2}"""),
        rf"\1{REDACTED}",
    ),
    "bearer": SecretPattern(
        ("earer ",),
        re.compile(
            r"""(earer (?<=[Bb]earer ))(?:(?=[^\s"']{0,40}[0-9])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9._~+/=-]{16,})"""
        ),
        rf"\1{REDACTED}",
    ),
    # A quoted value ends at the closing quote, any other where a value ends in a URL, a shell or a connection string.
    "named": SecretPattern(
        ("=",),
        re.compile(
            rf"""(?i)(=(?:{_NAMED})(?:"(?=[^"\n]++")|'(?=[^'\n]++')|(?!["']{{2}})["']?))"""
            rf"""(?:(?<=")[^"\n]++(?=")|(?<=')[^'\n]++(?=')|[^\s"'&,]+)"""
        ),
        rf"\1{REDACTED}",
    ),
    # A password may contain @ and /, so it ends at the last @ before the query. A port number is no password.
    "userinfo": SecretPattern(
        ("@",),
        re.compile(
            r"""://(?:[^\s/@:"'<>\\\[]*+:(?![0-9]{1,5}[/?#])(?:(?:[^\s"'<>\\?#:@]++|:(?!//))*+@)++"""
            r"""|[^\s/@"'<>\\]++@)"""
        ),
        rf"://{REDACTED}@",
    ),
}

#: Hints of a secret in raw bytes: each pattern starts at one byte that is rare in alerts, and looks around it from
#: there. A hint is only a reason to run `redact`.
_finds_colon = re.compile(rb":(?:(?<=[0-9]:)(?=[A-Za-z0-9_-]{34,35}(?![A-Za-z0-9_-]))|\\?/\\?/hooks\.slack)").search
_finds_x = re.compile(rb"x(?=ox[a-z][-.]|app-)").search
_finds_low_line = re.compile(rb"_(?:(?<=gh[pousr]_)|(?<=npm_)|live_|pat_|access_key|ACCESS_KEY)").search
_finds_equals = re.compile(rb"(?i)=(?<=[dtny]=)(?:(?<=word=)|(?<=sswd=)|(?<=cret=)|(?<=oken=)|(?<=key=))").search
_finds_i = re.compile(rb"I(?:A(?<=A[KS]IA)|z(?<=AIz)a)").search
_finds_k = re.compile(rb"K(?:(?<=ecretAccessK)ey|(?<=PRIVATE K)EY)").search
_finds_userinfo = re.compile(
    rb""":\\?/\\?/(?:[^\s/@"'<>]++@"""
    rb"""|[^\s/@:"'<>\[]*+:(?![0-9]{1,5}\\?[/?#])(?:[^\s"'<>?#:@]++|:(?!\\?/\\?/))*+@)"""
).search
_finds_escape = re.compile(rb"\\(?=u00[2-7])").search


def redact(text: str) -> str:
    """The text with every known kind of secret replaced by `[redacted]`."""
    for secret in SECRET_PATTERNS.values():
        if any(needle in text for needle in secret.needles):
            text = secret.pattern.sub(secret.instead, text)
    return text


def shown(text: str, most: int) -> str:
    """Text of another system, safe to show on one line: redacted, printable, and at most `most` characters."""
    message = "".join(one if one.isprintable() else " " for one in redact(text[:_MOST_READ]))
    message = " ".join(message.split())
    return message if len(message) <= most else f"{message[: most - 3].rstrip()}..."


def looks_secret(body: bytes) -> bool:
    """Whether a raw JSON body may contain a secret. False is certain (for these kinds); True needs a `redact`.

    An ASCII character written as an escape (`\\u0041`) can hide every kind, so such an escape alone counts.
    """
    # A check for the single byte comes first: it costs a tenth of the scan.
    return bool(
        _finds_colon(body)
        or _finds_x(body)
        or _finds_low_line(body)
        or (b"=" in body and _finds_equals(body))
        or b"earer " in body
        or b"glpat-" in body
        or (b"I" in body and _finds_i(body))
        or (b"J" in body and b"eyJ" in body)
        or (b"K" in body and _finds_k(body))
        or (b"z" in body and b"uthorization" in body and b"asic " in body)
        or (b"@" in body and _finds_userinfo(body))
        or (b"\\" in body and _finds_escape(body))
    )
