"""The settings' section about a ClickHouse server and the place of its backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Mistake, Seconds, Secret, Section, text_of

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_PATH = r"[A-Za-z0-9_./=-]*"
#: The keys that say where the backups are; one of them is set.
PLACES = ("disk", "collection", "folder")


class ClickHouseSettings(Section):
    """One database of a ClickHouse server, backed up with BACKUP."""

    url: Address = Field(description="Address of its HTTP interface, such as https://clickhouse:8443.")
    user: str = Field("default", min_length=1, description="User that may BACKUP, RESTORE, CREATE and read it.")
    password: Secret | None = Field(None, description="Password of that user.")
    database: str = Field(min_length=1, description="The database that is backed up and restored.")
    disk: str | None = Field(None, pattern=f"^{_NAME}$", description="Disk of the backups: Disk('NAME', ...).")
    collection: str | None = Field(
        None, pattern=f"^{_NAME}$", description="Named collection of the backups' bucket: S3(NAME, ...)."
    )
    folder: str | None = Field(
        None, min_length=1, description="Folder of the backups on the server, below backups.allowed_path: File(...)."
    )
    path: str = Field(
        "",
        pattern=f"^{_PATH}$",
        description="What names of this store's backups begin with in that place, such as orders/.",
    )
    cluster: str | None = Field(
        None,
        pattern=f"^{_NAME}$",
        description="Cluster whose replicas are all looked at, and ON CLUSTER of what is changed.",
    )
    outsider: str | None = Field(
        None, min_length=1, description="User of production that must not be able to read the copy of a drill."
    )
    outsider_password: Secret | None = Field(None, description="Password of that user.")
    timeout: Seconds = Field(
        timedelta(seconds=30), description="Seconds to wait for an answer.", json_schema_extra={"default": 30}
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        named = [key for key in PLACES if text_of(given, key)]
        if len(named) != 1:
            yield ("disk",), "must be set, or collection, or folder: exactly one says where the backups are"
        if ".." in text_of(given, "path").split("/"):
            yield ("path",), "must not contain .."
        if text_of(given, "outsider") and text_of(given, "outsider") == (text_of(given, "user") or "default"):
            yield ("outsider",), "must be another user than the bot's own, which may read every copy"

    @property
    def place(self) -> str:
        """For people: where the backups are."""
        kind, name = next(((key, getattr(self, key)) for key in PLACES if getattr(self, key)), ("disk", ""))
        return f"{kind} {name}/{self.path}"
