"""Building blocks of the settings: types of values, and the base classes of sections.

Each type reports a bad value in one sentence that says what it must be. No sentence repeats the value, because it may
be a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from bot.lib import time_windows

_LAST_PORT = 65535

#: A key within a section, such as ("tokens", 0), and what is wrong with its value.
Mistake = tuple[tuple[str | int, ...], str]


def _web_address(url: str) -> str:
    if any(one.isspace() or not one.isprintable() for one in url):
        raise ValueError("must be one address, without spaces or line ends")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a web address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("must not contain a user or a password; use the section's token key")
    if parts.fragment:
        raise ValueError("must be the address alone; leave out # and what follows it")
    return url


def _host_and_port(listen: str) -> str:
    host, colon, port = listen.rpartition(":")
    if not (colon and host and "/" not in host and port.isdecimal() and 0 <= int(port) <= _LAST_PORT):
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return listen


def _store_address(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
    if text.startswith("sqlite:///") and text.removeprefix("sqlite:///").partition("?")[0] in ("", ":memory:"):
        raise ValueError("names no file, so a restart would forget everything; write sqlite:///FILE")
    return url


def _time_window(written: str) -> str:
    try:
        time_windows.parse_window(written)
    except time_windows.UnknownZone as unknown:
        raise ValueError(_nearest_zone(unknown)) from None
    return written


def _moment(written: object) -> object:
    if not isinstance(written, str):
        raise ValueError(time_windows.MOMENT)  # noqa: TRY004 (pydantic's exception for a fault)
    try:
        return time_windows.parse_moment(written)
    except time_windows.UnknownZone as unknown:
        raise ValueError(_nearest_zone(unknown)) from None


def _zone(name: str) -> str:
    try:
        time_windows.zone(name)
    except time_windows.UnknownZone as unknown:
        raise ValueError(_nearest_zone(unknown)) from None
    return name


def _nearest_zone(unknown: time_windows.UnknownZone) -> str:
    near = get_close_matches(unknown.zone, sorted(available_timezones()), n=1)
    return f"names no time zone; did you mean {near[0]!r}?" if near else str(unknown)


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _whole(unit: str, least: int, most: int) -> BeforeValidator:
    def measure(number: object) -> object:
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ValueError(f"must be a whole number of {unit}, {least} to {most}")
        return timedelta(**{unit: number})

    return BeforeValidator(measure)


_SPAN = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
_LONGEST_SPAN = timedelta(days=3660)
SPAN_FORM = "must be a duration with its unit, such as 90s, 30m, 4h or 7d"


def span_of(written: object) -> timedelta | None:
    """The duration that was written as `90s`, `30m`, `4h`, `7d` or `1d12h`; None where it is not one, or zero."""
    if isinstance(written, timedelta):
        return written
    found = _SPAN.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        return None
    days, hours, minutes, seconds = (int(digits or 0) for digits in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or None


def _span(written: object) -> timedelta:
    if isinstance(written, int | float) and not isinstance(written, bool):
        raise ValueError("is a number without a unit; write a duration such as 90s, 30m, 4h or 7d")  # noqa: TRY004
    found = span_of(written)
    if found is None or found > _LONGEST_SPAN:
        raise ValueError(SPAN_FORM)
    return found


def is_host_and_port(listen: object) -> bool:
    """Whether that is a valid value of the type `HostPort`."""
    try:
        return isinstance(listen, str) and bool(_host_and_port(listen))
    except ValueError:
        return False


def is_loopback(listen: str) -> bool:
    """Whether only this machine can connect to that host:port."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


#: A namespace of Kubernetes.
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def namespace_mistake(given: Mapping[str, object], key: str) -> Iterator[Mistake]:
    """A name that no namespace of Kubernetes can have."""
    name = text_of(given, key)
    if name and not _NAMESPACE.fullmatch(name):
        yield (key,), "must be the name of a namespace: at most 63 small letters, digits and -"


@dataclass(frozen=True)
class LocalPath:
    """Marks a setting that names a file of this machine: a relative path in it starts from the settings file.

    `replace`: the value with each of its paths replaced by the given function.
    """

    replace: Callable[[str, Callable[[Path], Path]], str]


def _in_address(url: str, each: Callable[[Path], Path]) -> str:
    kind, _, rest = url.partition(":///")
    path, mark, query = rest.partition("?")
    return f"{kind}:///{each(Path(path))}{mark}{query}" if kind == "sqlite" and path not in ("", ":memory:") else url


def _in_list(paths: str, each: Callable[[Path], Path]) -> str:
    return paths if paths == "in-cluster" else os.pathsep.join(str(each(Path(one))) for one in paths.split(os.pathsep))


def _in_program(name: str, each: Callable[[Path], Path]) -> str:
    return str(each(Path(name))) if "/" in name else name


FILE = LocalPath(lambda path, each: str(each(Path(path))))
KUBECONFIG = LocalPath(_in_list)
#: A name without a slash is looked up in PATH.
PROGRAM = LocalPath(_in_program)
_STORE_FILE = LocalPath(_in_address)

Address = Annotated[str, AfterValidator(_web_address)]
Secret = Annotated[SecretStr, AfterValidator(_not_empty)]
Minutes = Annotated[timedelta, _whole("minutes", 0, 43200), WithJsonSchema({"type": "integer", "minimum": 0})]
Seconds = Annotated[timedelta, _whole("seconds", 1, 600), WithJsonSchema({"type": "integer", "minimum": 1})]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}),
]
TimeWindow = Annotated[str, AfterValidator(_time_window)]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]
ZoneName = Annotated[str, AfterValidator(_zone)]
HostPort = Annotated[str, AfterValidator(_host_and_port)]
StoreAddress = Annotated[SecretStr, AfterValidator(_store_address), _STORE_FILE]


class Section(BaseModel):
    """One section of the settings: frozen; an unknown key is a fault; a key without a value counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}

    @classmethod
    def types_by_value(cls, given: Mapping[str, object]) -> Mapping[str, object]:  # noqa: ARG003 (for subclasses)
        """The types of those keys whose type depends on the value of another one, as far as `given` tells them."""
        return {}

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:  # noqa: ARG003 (for subclasses)
        """Values of the right type with which the other side cannot work, each with what to do.

        Only what is certain: the bot does not start with one. `given` is the section as in the file, with its secrets
        in place and nothing of it checked yet. No message repeats a value.
        """
        yield from ()

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:  # noqa: ARG003 (for subclasses)
        """As `mistakes`, for what is probably not meant and may work all the same: a warning each."""
        yield from ()

    @classmethod
    def missing_here(cls, given: Mapping[str, object]) -> Iterator[Mistake]:  # noqa: ARG003 (for subclasses)
        """As `mistakes`, for files of this machine that the settings name.

        A fault for `vakhta check`, a warning for a start: pages must go out although one cluster cannot be reached.
        """
        yield from ()


class PlugSection(Section):
    """The section of a source or a channel."""

    @property
    def on(self) -> bool:
        """Whether it is used, given that its section exists."""
        return True

    @property
    def summary(self) -> str:
        """What `vakhta check` shows of it besides its name; no secret."""
        return ""


class ChannelSection(PlugSection):
    """The section of a chat or pager, with the facts about the platform that are needed before its SDK is loaded."""

    called: ClassVar[str]  #: the platform's name, as people write it
    command: ClassVar[str] = "/"  #: the prefix of a verb that is typed there
    #: Mode -> the key that this mode requires. The modes are the values of the key `mode`.
    mode_needs: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def usual_mode(cls) -> str:
        """The default mode; "" for a channel without modes."""
        return str(cls.model_fields["mode"].default) if "mode" in cls.model_fields else ""


def text_of(given: Mapping[str, object], key: str) -> str:
    """The text under that key, "" where there is none, for `Section.mistakes`."""
    value = given.get(key)
    return value if isinstance(value, str) else ""


def texts_of(given: Mapping[str, object], key: str) -> Iterator[tuple[tuple[str, int], str]]:
    """Each text of the list under that key, with its place, for `Section.mistakes`."""
    value = given.get(key)
    for number, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, str):
            yield (key, number), one


def host_of(url: str) -> str:
    """The host of an address, "" where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def path_mistake(given: Mapping[str, object], key: str, *endings: str) -> Iterator[Mistake]:
    """An address that goes on with a path that the bot adds itself, such as /api/v2, and perhaps with more."""
    try:
        path = urlsplit(text_of(given, key)).path.rstrip("/")
    except ValueError:
        return
    for ending in endings:
        if f"{ending}/" in f"{path}/":
            yield (key,), f"must be the address without {ending}, which the bot adds where it is needed"
            return


def plugs_in(sections: type[Section]) -> dict[str, type[PlugSection]]:
    """The keys of a section whose values are sections of sources or channels, with their classes."""
    found: dict[str, type[PlugSection]] = {}
    for key, field in sections.model_fields.items():
        for kind in get_args(field.annotation) or (field.annotation,):
            if isinstance(kind, type) and issubclass(kind, PlugSection):
                found[key] = kind
    return found
