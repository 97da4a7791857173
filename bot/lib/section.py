"""What every section of the settings is. Apart from them, so that they can stand in more than one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """One block of the settings: frozen, and a key it does not know is a fault. A key without a value is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class PlugSection(Section):
    """The section of a source or a channel."""

    @property
    def on(self) -> bool:
        """Whether it is used at all, now that its section is there."""
        return True

    @property
    def summary(self) -> str:
        """What `vakhta check` tells of it besides its name; no secret."""
        return ""


class ChannelSection(PlugSection):
    """The section of a chat or pager, and what has to be known of the platform before its SDK is loaded."""

    called: ClassVar[str]  #: the platform's name, as people write it
    command: ClassVar[str] = "/"  #: what a verb begins with when it is typed there
    #: Mode -> the key that this mode cannot do without. The modes are the values of the key `mode`.
    mode_needs: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def usual_mode(cls) -> str:
        """The mode that counts when none is given; "" for a channel without modes."""
        return str(cls.model_fields["mode"].default) if "mode" in cls.model_fields else ""


def plugs_in(sections: type[Section]) -> dict[str, type[PlugSection]]:
    """The keys of a section whose values are sections of sources or channels, with the class of each."""
    found: dict[str, type[PlugSection]] = {}
    for key, field in sections.model_fields.items():
        for kind in get_args(field.annotation) or (field.annotation,):
            if isinstance(kind, type) and issubclass(kind, PlugSection):
                found[key] = kind
    return found
