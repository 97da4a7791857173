"""The settings' section about archives of pg_dump, and the servers that they are of and restored to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, SecretStr

from bot.integrations.aws.settings import BucketSettings
from bot.lib.settings_fields import FILE, Mistake, Secret, Section, text_of

#: What begins a URL of PostgreSQL; anything else has to be a connection string, whose words are key=value.
_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")
#: Secrets that libpq takes from no environment variable, so pg_dump and pg_restore would get them as an argument.
_ONLY_BY_ARGUMENT = re.compile(r"(?:^|[\s&])(sslpassword|oauth_client_secret|scram_(?:client|server)_key)\s*=")
NO_PHRASE = "Leave it out, and use a key file without a passphrase that only the bot's user can read."


def _server_address(url: SecretStr) -> SecretStr:
    text = url.get_secret_value().strip()
    if not text.startswith(_SCHEMES) and ("://" in text or "=" not in text):
        raise ValueError("must begin with postgresql://, or be a connection string such as host=db user=vakhta")
    try:
        parameters = unquote(urlsplit(text).query) if text.startswith(_SCHEMES) else text
    except ValueError:
        raise ValueError("is no address of PostgreSQL") from None
    found = _ONLY_BY_ARGUMENT.search(parameters)
    if found:
        raise ValueError(f"has {found[1]}, which would be seen among the arguments of pg_restore. {NO_PHRASE}")
    return url


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("names no time zone, such as UTC or Europe/Berlin")
    return name


#: The address of a server, of any database in it.
ServerAddress = Annotated[Secret, AfterValidator(_server_address)]


class PostgresBackupSettings(Section):
    """Archives of pg_dump (-Fc, -Fd, -Ft) of one database."""

    database: str = Field(min_length=1, max_length=63, description="The database: in its archives, and on the server.")
    url: ServerAddress = Field(
        description="The server with the live database: postgresql://USER:PASSWORD@HOST/postgres. Not by PgBouncer."
    )
    copy_url: ServerAddress | None = Field(
        None, description="The server that copies are restored to; without it the same one. A cutover needs the same."
    )
    application_url: ServerAddress | None = Field(
        None,
        description="A login of the application, on the server of the copies, with a database that it may use: a "
        "drill's copy has to refuse it.",
    )
    folder: Annotated[str, FILE] = Field(
        min_length=1,
        description="The folder that the archives are in; with a bucket, the one that they are fetched to.",
    )
    bucket: BucketSettings | None = Field(None, description="The bucket that the archives are in, as single files.")
    files: str = Field("*.dump", min_length=1, description="Pattern of the names of the archives, with * and ?.")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The time zone of the machine that makes the archives, which do not name it themselves."
    )
    programs: Annotated[str | None, FILE] = Field(
        None, min_length=1, description="The folder of pg_dump and pg_restore; without it they are looked for in PATH."
    )
    jobs: int = Field(2, ge=1, le=64, description="Connections with which pg_restore works at a time.")
    read: int = Field(8, ge=1, le=1000, description="So many of the newest archives are read to their end, once each.")

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if "/" in text_of(given, "files"):
            yield ("files",), "must be a pattern of names, without a slash; the folder has a key of its own"

    @property
    def place(self) -> str:
        """For people."""
        if self.bucket is not None:
            return f"s3://{self.bucket.bucket}/{self.bucket.prefix}{self.files}"
        return f"{self.folder}/{self.files}"
