"""The sections of the settings about people: who they are, what roles may do, when nothing may be done.

A rule may be written as plain text, "scale prod/*", or as keys and values where it has conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue

from bot.access import policy
from bot.core.alert import Severity
from bot.integrations.kubernetes.settings import ClusterUserSettings
from bot.lib.settings_fields import Moment, Section, TimeWindow


def _several(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _or_text(schema: JsonDict) -> None:
    """A rule of the schema may be its text alone."""
    either: list[JsonValue] = [{"type": "string"}, {"type": "object"}]
    schema["anyOf"] = either
    schema.pop("type", None)


_ONE_OR_SEVERAL: JsonSchemaValue = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Words = Annotated[tuple[str, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]
Severities = Annotated[tuple[Severity, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]
Windows = Annotated[tuple[TimeWindow, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]


@dataclass(frozen=True)
class _Mark:
    """Marks keys that say the same of different platforms."""


_ACCOUNT, _GROUPS = _Mark(), _Mark()


def _marked(section: type[Section], mark: _Mark) -> tuple[str, ...]:
    return tuple(key for key, field in section.model_fields.items() if any(one is mark for one in field.metadata))


class PersonSettings(Section):
    """One person and their account on each platform."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Short and lasting; it is in every record.")
    name: str = ""
    slack: Annotated[str | None, _ACCOUNT] = Field(None, description="U..., the member id.")
    telegram: Annotated[int | None, _ACCOUNT] = Field(None, description="The numeric user id, not the @name.")
    pagerduty: Annotated[str | None, _ACCOUNT] = Field(None, description="P..., the user id.")
    kubernetes: ClusterUserSettings | None = Field(None, description="Who they are to the clusters.")
    roles: tuple[str, ...] = Field(
        ("responder",), description="Names under `roles`, or built in. An empty list is no rights at all."
    )

    @classmethod
    def account_keys(cls) -> tuple[str, ...]:
        """The keys that hold an account; each has the name of its channel."""
        return _marked(cls, _ACCOUNT)

    @property
    def accounts(self) -> Mapping[str, str]:
        """Their accounts, by the channel's name."""
        held = {key: getattr(self, key) for key in self.account_keys()}
        return {key: str(account) for key, account in held.items() if account is not None}


class DenyWhenSettings(Section):
    """When a rule holds: all that is given must be the case, of several values one."""

    environment: Words = Field((), description="Of the service, as under `services`.")
    service: Words = Field((), description="Globs of the service's name.")
    severity: Severities = Field((), description="Of the incident.")
    on_call: bool = Field(default=False, description="The asker is on call for the service.")
    incident: bool = Field(default=False, description="An unresolved incident is on the service.")
    during: Windows = Field((), description='"Mon-Fri 09:00-18:00 Europe/Berlin".')


class WhenSettings(DenyWhenSettings):
    """As for a rule that denies, and the error budget."""

    budget: float | None = Field(None, ge=0, le=1, description="Least part of the error budget that is left, 0 to 1.")


class DenySettings(Section):
    """A rule that denies; it beats every rule that allows."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    do: str = Field(description='"<verb> <target glob>", such as "scale prod/*"; a verb alone is for every target.')
    when: DenyWhenSettings = Field(default_factory=DenyWhenSettings)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        do = given.get("do") if isinstance(given, Mapping) else given
        if isinstance(do, str):
            policy.split_rule(do)
        return {"do": given} if isinstance(given, str) else given


class AllowSettings(DenySettings):
    """A rule that allows."""

    when: WhenSettings = Field(default_factory=WhenSettings)
    approvals: int = Field(0, ge=0, le=5, description="How many other people have to say yes.")


class RoleSettings(Section):
    """What people of a role may do. A role of a built-in name takes its place."""

    allow: tuple[AllowSettings, ...] = ()
    deny: tuple[DenySettings, ...] = ()
    break_glass: bool = Field(
        default=False, description="Its rules sleep; they count only for whoever has broken the glass."
    )
    slack_groups: Annotated[tuple[str, ...], _GROUPS] = Field(
        (), description="S...; members of these user groups have the role."
    )

    @classmethod
    def group_keys(cls) -> tuple[str, ...]:
        """The keys that name groups of a platform whose members have the role."""
        return _marked(cls, _GROUPS)

    @property
    def groups(self) -> frozenset[str]:
        """The groups whose members have the role, by their ids on the platform."""
        return frozenset(one for key in self.group_keys() for one in getattr(self, key))


class FreezeSettings(Section):
    """A time in which no action is taken."""

    name: str = Field(min_length=1)
    since: Moment = Field(alias="from", description="2026-11-27T00:00:00Z, or 2026-11-27 00:00 Europe/Berlin.")
    until: Moment = Field(description="It ends before this moment.")
    targets: tuple[str, ...] = Field(min_length=1, description="Globs of targets and services.")
    exempt: tuple[str, ...] = Field((), alias="except", description="Roles that it does not hold for.")


class SecuritySettings(Section):
    """Who hears of what is unusual."""

    contact: str | None = Field(None, description="A person's id or a channel's name; paged when the glass is broken.")
