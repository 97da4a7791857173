"""The settings sections about people: accounts, roles and their rules, freezes, the security contact.

A rule may be plain text, "scale prod/*", or keys and values where it has conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue

from bot.access import policy
from bot.core.alert import Severity
from bot.integrations.kubernetes.settings import ClusterUserSettings
from bot.integrations.pagerduty.settings import account_fault as pagerduty_fault
from bot.integrations.slack.settings import member_fault, user_group_fault
from bot.integrations.telegram.settings import account_fault as telegram_fault
from bot.lib.settings_fields import Mistake, Moment, Section, TimeWindow, text_of, texts_of


def _several(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _or_text(schema: JsonDict) -> None:
    """In the schema, a rule may also be its text alone."""
    either: list[JsonValue] = [{"type": "string"}, {"type": "object"}]
    schema["anyOf"] = either
    schema.pop("type", None)


_ONE_OR_SEVERAL: JsonSchemaValue = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Words = Annotated[tuple[str, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]
Severities = Annotated[tuple[Severity, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]
Windows = Annotated[tuple[TimeWindow, ...], BeforeValidator(_several), WithJsonSchema(_ONE_OR_SEVERAL)]


@dataclass(frozen=True)
class _Mark:
    """Marks keys that mean the same on different platforms: accounts, or groups."""


_ACCOUNT, _GROUPS = _Mark(), _Mark()


def _marked(section: type[Section], mark: _Mark) -> tuple[str, ...]:
    return tuple(key for key, field in section.model_fields.items() if any(one is mark for one in field.metadata))


class PersonSettings(Section):
    """One person and their account on each platform."""

    id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Short and permanent: it is written into every record.",
        json_schema_extra={
            "patternErrorMessage": "must be at most 64 small letters, digits, dots, _ and -, such as ana"
        },
    )
    name: str = ""
    slack: Annotated[str | None, _ACCOUNT] = Field(None, description="U..., the member id.")
    telegram: Annotated[int | None, _ACCOUNT] = Field(None, description="The numeric user id, not the @name.")
    pagerduty: Annotated[str | None, _ACCOUNT] = Field(None, description="P..., the user id.")
    kubernetes: ClusterUserSettings | None = Field(None, description="Their user and groups in the clusters.")
    roles: tuple[str, ...] = Field(
        ("responder",), description="Names under `roles`, or built-in roles. An empty list means no rights."
    )

    @classmethod
    def account_keys(cls) -> tuple[str, ...]:
        """The keys that hold an account; each has the name of its channel."""
        return _marked(cls, _ACCOUNT)

    @property
    def accounts(self) -> Mapping[str, str]:
        """Their accounts, by channel name."""
        held = {key: getattr(self, key) for key in self.account_keys()}
        return {key: str(account) for key, account in held.items() if account is not None}

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        for key, fault_of in _ACCOUNT_FAULTS.items():
            if (account := text_of(given, key)) and (fault := fault_of(account)):
                yield (key,), fault
        if fault := telegram_fault(given.get("telegram")):
            yield ("telegram",), fault


_ACCOUNT_FAULTS: Mapping[str, Callable[[str], str]] = {"slack": member_fault, "pagerduty": pagerduty_fault}


class DenyWhenSettings(Section):
    """When a rule applies: all given conditions hold; of several values of one condition, one matches."""

    environment: Words = Field((), description="The service's environment, as under `services`.")
    service: Words = Field((), description="Globs for the service's name.")
    severity: Severities = Field((), description="The incident's severity.")
    on_call: bool = Field(default=False, description="The requester is on call for the service.")
    incident: bool = Field(default=False, description="The service has an unresolved incident.")
    during: Windows = Field((), description='Hours, such as "Mon-Fri 09:00-18:00 Europe/Berlin".')


class WhenSettings(DenyWhenSettings):
    """When an allow rule applies: the conditions of a deny rule, and the error budget."""

    budget: float | None = Field(
        None, ge=0, le=1, description="Minimum share of the error budget that is left, 0 to 1."
    )


class DenySettings(Section):
    """A deny rule. It overrides every allow rule."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    do: str = Field(description='"<verb> <target glob>", such as "scale prod/*"; a verb alone applies to every target.')
    when: DenyWhenSettings = Field(default_factory=DenyWhenSettings)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        do = given.get("do") if isinstance(given, Mapping) else given
        if isinstance(do, str):
            policy.split_rule(do)
        return {"do": given} if isinstance(given, str) else given


class AllowSettings(DenySettings):
    """An allow rule."""

    when: WhenSettings = Field(default_factory=WhenSettings)
    approvals: int = Field(0, ge=0, le=5, description="How many other people must approve.")


class RoleSettings(Section):
    """What people with this role may do. A role with the name of a built-in one replaces it."""

    allow: tuple[AllowSettings, ...] = ()
    deny: tuple[DenySettings, ...] = ()
    break_glass: bool = Field(
        default=False, description="The rules apply only while break-glass is active for the person."
    )
    slack_groups: Annotated[tuple[str, ...], _GROUPS] = Field(
        (), description="Ids (S...) of Slack user groups; their members have the role."
    )

    @classmethod
    def group_keys(cls) -> tuple[str, ...]:
        """The keys that name groups of a platform whose members have the role."""
        return _marked(cls, _GROUPS)

    @property
    def groups(self) -> frozenset[str]:
        """The groups whose members have the role, by their ids on the platform."""
        return frozenset(one for key in self.group_keys() for one in getattr(self, key))

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        for key, group in texts_of(given, "slack_groups"):
            if fault := user_group_fault(group):
                yield key, fault


class FreezeSettings(Section):
    """A period in which no action is taken."""

    name: str = Field(min_length=1)
    since: Moment = Field(alias="from", description="2026-11-27T00:00:00Z, or 2026-11-27 00:00 Europe/Berlin.")
    until: Moment = Field(description="End of the freeze; this moment is outside of it.")
    targets: tuple[str, ...] = Field(min_length=1, description="Globs for targets and services.")
    exempt: tuple[str, ...] = Field((), alias="except", description="Roles that are exempt from it.")


class SecuritySettings(Section):
    """Who is notified of unusual events."""

    contact: str | None = Field(
        None, description="A person's id or a channel's name, paged when somebody uses break-glass."
    )
