"""The settings section of backups: the stores, what is promised for each, how it is checked and drilled.

The trap: the type of `where` depends on `engine`. So it is validated by the engine's own class, and whatever walks the
classes of the settings asks `types_by_value` for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bot.config import backup_engines
from bot.config.access import Windows
from bot.config.consistency import FoundFault, Tree, entries, section_of
from bot.config.faults import Loc, nearest
from bot.integrations.aws.settings import BucketSettings
from bot.integrations.programs.settings import RunSettings
from bot.lib.settings_fields import FILE, Mistake, Section, Span, span_of, text_of

#: What commands accept as a name.
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:[./][a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*")
_LONGEST_NAME = 253
_EXPECTATIONS = ("expect", "like_live", "newest_within")
_LOOKS = timedelta(minutes=1), timedelta(minutes=15)
_SHORTEST_DRILL_INTERVAL = timedelta(hours=1)


def _name(written: str) -> str:
    if len(written) > _LONGEST_NAME or not _NAME.fullmatch(written):
        raise ValueError("must be small letters, digits, - and /, such as prod/orders-db, so that commands can name it")
    return written


def _engine(word: str) -> str:
    if word not in backup_engines.ENGINES:
        raise ValueError(f"is no engine; {nearest(word, backup_engines.ENGINES)}")
    return word


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Text = Annotated[str, BeforeValidator(_as_text)]


class CheckSettings(Section):
    """One question to a restored copy, with the answer that it must have: one of `expect`, `like_live` and
    `newest_within`.
    """

    name: str = Field(min_length=1, description="What is checked, for people: orders are there.")
    query: str = Field(
        min_length=1, description="A query in the engine's own language; its answer is one value. It only reads."
    )
    expect: _Text | None = Field(None, min_length=1, description="The answer, as text.")
    like_live: bool = Field(default=False, description="The answer must be that of the live one.")
    tolerance_percent: float = Field(
        0, ge=0, le=100, description="How far a number may be from what is expected, in percent."
    )
    newest_within: Span | None = Field(
        None, description="The answer is a moment, at most this long before the backup's own."
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        said = [key for key in _EXPECTATIONS if given.get(key) not in (None, False)]
        if not said:
            yield (), "expects nothing, so it would pass whatever comes back; set expect, like_live or newest_within"
        elif len(said) > 1:
            yield (said[1],), f"contradicts {said[0]}; a check has one expectation"
        elif given.get("tolerance_percent") and said == ["newest_within"]:
            yield ("tolerance_percent",), "means nothing for a moment; it is for a number"


class DrillSettings(Section):
    """When the newest usable backup is restored beside, checked and removed again."""

    every: Span | None = Field(None, description="How often; without it, only when a person asks.")
    during: Windows = Field((), description='When one may begin, such as "Sat,Sun 02:00-06:00 Europe/Berlin".')
    at_most: Span = Field(
        timedelta(hours=4),
        description="After this it has failed and is removed.",
        json_schema_extra={"default": "4h"},
    )
    sentinel: bool = Field(
        default=True,
        description="Write a row to the live one beforehand and look for it in the copy, where the engine can.",
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        every, most = span_of(given.get("every")), span_of(given.get("at_most"))
        if every and every < _SHORTEST_DRILL_INTERVAL:
            yield ("every",), "is under an hour; a drill is a whole restore"
        elif every and every <= (most or cls.model_fields["at_most"].default):
            yield ("every",), "is not longer than at_most, so one drill would run into the next"

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if given.get("during") and not given.get("every"):
            yield ("during",), "has no effect without every: no drill begins by itself"


class BackupStoreSettings(Section):
    """One thing that is backed up, what is promised for it, and where its backups are."""

    name: Annotated[str, AfterValidator(_name)] = Field(description="As people type it: prod/orders-db.")
    service: str | None = Field(None, min_length=1, description="The service that it belongs to, as under `services`.")
    engine: Annotated[str, AfterValidator(_engine)] = Field(description="What makes and restores the backups.")
    rpo: Span = Field(description="How old the newest data that can be restored may be.")
    rto: Span = Field(description="How long a restore may take, until its data can be used.")
    where: Section = Field(description="Where its backups are; the keys are those of the engine.")
    run: RunSettings = Field(
        default_factory=RunSettings, description="Where the engine's programs run: local, or {job: ...}."
    )
    checks: tuple[CheckSettings, ...] = Field((), description="What is asked of a restored copy.")
    drill: DrillSettings | None = None
    keep_old: Span = Field(
        timedelta(days=7),
        description="How long the old one is kept after a cutover.",
        json_schema_extra={"default": "7d"},
    )

    @field_validator("where", mode="plain")
    @classmethod
    def _of_engine(cls, given: object, info: ValidationInfo) -> Section:
        kind = backup_engines.section_class(info.data.get("engine"))
        return Section() if kind is None else kind.model_validate(given)

    @classmethod
    def types_by_value(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        kind = backup_engines.section_class(given.get("engine"))
        return {} if kind is None else {"where": kind}

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        engine = backup_engines.ENGINES.get(text_of(given, "engine"))
        if engine is None:
            return
        word, drill = text_of(given, "engine"), given.get("drill")
        if engine.only_reads and drill:
            yield ("drill",), f"cannot be: {word} is only read here, for freshness; remove it, or use pgbackrest"
        if given.get("run") is not None and not engine.runs_programs:
            yield ("run",), f"means nothing here: {word} runs no programs; remove it"
        if isinstance(given.get("run"), Mapping) and engine.on_this_machine:
            yield ("run",), f"must be local: {word} serves its copies on the machine of the bot"

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        engine, drill = backup_engines.ENGINES.get(text_of(given, "engine")), given.get("drill")
        if engine is not None and not engine.only_reads and not (isinstance(drill, dict) and drill.get("every")):
            yield (), "is never drilled by itself, and what was never restored is not known to restore; set drill.every"

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With the keys of each engine's `where`, for editors."""
        schema = handler(core)
        written = handler.resolve_ref_schema(schema)
        written["properties"]["engine"]["enum"] = list(backup_engines.ENGINES)
        written["properties"]["where"]["type"] = "object"
        written["properties"]["run"] = {
            "anyOf": [{"const": "local"}, written["properties"]["run"]],
            "description": written["properties"]["run"].pop("description", ""),
        }
        written["allOf"] = [
            {
                "if": {"properties": {"engine": {"const": word}}, "required": ["engine"]},
                "then": {"properties": {"where": handler(kind.__pydantic_core_schema__)}},
            }
            for word in backup_engines.ENGINES
            if (kind := backup_engines.section_class(word)) is not None
        ]
        return schema


class DisasterExportSettings(Section):
    """The plan for a disaster, written outside of what it recovers, so that it is there when the bot is not."""

    every: Span = Field(timedelta(days=7), description="How often it is written.", json_schema_extra={"default": "7d"})
    folder: Annotated[str | None, FILE] = Field(
        None, min_length=1, description="A folder to write it into; best one of another machine."
    )
    bucket: BucketSettings | None = Field(
        None, description="A bucket to put it into; credentials come from boto3's own chain."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.folder is None and self.bucket is None:
            raise ValueError("names no place to write to; set folder, bucket or both")
        return self


class BackupsSettings(Section):
    """What is backed up, and what has to be known of it."""

    stores: tuple[BackupStoreSettings, ...] = ()
    look_every: Span = Field(
        timedelta(minutes=5),
        description="How often each store is looked at.",
        json_schema_extra={"default": "5m"},
    )
    dr: DisasterExportSettings | None = None

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        every = span_of(given.get("look_every"))
        if every and not _LOOKS[0] <= every <= _LOOKS[1]:
            yield ("look_every",), "must be 1m to 15m: what was read longer ago says nothing of now"
        first: dict[str, int] = {}
        stores = given.get("stores")
        for number, store in enumerate(stores if isinstance(stores, list) else ()):
            name = text_of(store, "name") if isinstance(store, dict) else ""
            if name in first:
                message = f"is also the name of stores[{first[name]}]; each name belongs to one store"
                yield ("stores", number, "name"), message
            elif name:
                first[name] = number


def contradictions(tree: Tree) -> Iterator[FoundFault]:
    """Stores that name a service or a cluster that the settings do not have. `tree`: all settings, as read."""
    services = {str(one.get("name")) for _, one in entries(tree, "services")}
    clusters = section_of(tree, "clusters")
    for at, store in entries(section_of(tree, "backups"), "stores"):
        loc, service = ("backups", *at), store.get("service")
        if isinstance(service, str) and service not in services:
            yield (*loc, "service"), f"is not under `services`; {nearest(service, services)}"
        if store.get("name") in services and service != store.get("name"):
            yield (*loc, "name"), "is a service's, and not that of `service`, so the rights would be those of another"
        for place, cluster in _clusters_of(store):
            if cluster not in clusters:
                yield (*loc, *place), f"is not under `clusters`; {nearest(cluster, clusters)}"


def _clusters_of(store: Tree) -> Iterator[tuple[Loc, str]]:
    """The clusters that a store names, each with its place within the store."""
    engine = backup_engines.ENGINES.get(text_of(store, "engine"))
    where = section_of(store, "where") if engine is not None and engine.in_cluster else {}
    places: tuple[tuple[Loc, Tree], ...] = (
        (("where",), where),
        (("run", "job"), section_of(section_of(store, "run"), "job")),
    )
    for place, section in places:
        if isinstance(cluster := section.get("cluster"), str):
            yield (*place, "cluster"), cluster
