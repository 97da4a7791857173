"""What the settings of archives and of programs refuse, each with what it must be."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from bot.core.errors import Rejected
from bot.integrations.postgres.connection import PostgresServer
from bot.integrations.postgres.settings import PostgresBackupSettings
from bot.integrations.programs.settings import JobSettings, RunSettings
from bot.lib.settings_fields import Section
from tests.running import ROOT

_STORE = {"database": "orders", "url": "postgresql://u:hunter22@db/postgres", "folder": "/archives"}
_JOB = {"cluster": "prod", "namespace": "db", "image": "postgres:15"}


def _mistakes(section: type[Section], given: dict[str, Any]) -> dict[str, str]:
    found = (*section.mistakes(given), *section.doubts(given))
    return {".".join(map(str, key)): said for key, said in found}


@pytest.mark.parametrize("url", ["mysql://u@db/x", "db.example.com", "hunter22"])
def test_an_address_that_is_not_postgresqls_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError, match="must begin with postgresql://") as caught:
        PostgresBackupSettings.model_validate({**_STORE, "url": url})

    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u@db/x", "postgresql+psycopg://u@db/x", "host=db user=u"])
def test_urls_and_connection_strings_are_taken(url: str) -> None:
    assert PostgresBackupSettings.model_validate({**_STORE, "url": url}).place == "/archives/*.dump"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db/x?sslkey=/k&sslpassword=hunter22",
        "postgresql://u@db/x?ssl%70assword=hunter22",
        "host=db user=u sslpassword = hunter22",
        "host=db oauth_client_secret=hunter22",
    ],
)
def test_a_secret_that_programs_would_get_as_an_argument_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError, match=r"arguments of pg_restore.*without a passphrase") as caught:
        PostgresBackupSettings.model_validate({**_STORE, "url": url})

    assert "hunter22" not in str(caught.value)
    with pytest.raises(Rejected, match=r"arguments alone.*Nothing was done") as refused:
        PostgresServer(url).for_programs("shop")
    assert "hunter22" not in refused.value.message


def test_programs_get_the_password_and_the_options_by_their_environment() -> None:
    access = PostgresServer("postgresql://u:hunter22@db/x?options=-cshop.token%3Dhunter23").for_programs("shop")

    assert "hunter2" not in access.address
    assert access.secrets == {"PGPASSWORD": "hunter22"}
    assert access.environment == {"PGOPTIONS": "-cshop.token=hunter23"}


def test_a_time_zone_that_does_not_exist_and_a_pattern_with_a_folder_are_refused() -> None:
    with pytest.raises(ValidationError, match="names no time zone"):
        PostgresBackupSettings.model_validate({**_STORE, "time_zone": "Berlin"})

    assert list(_mistakes(PostgresBackupSettings, {"files": "daily/*.dump"})) == ["files"]


def test_programs_run_locally_or_as_a_job_of_a_fixed_image() -> None:
    assert RunSettings.model_validate("local").job is None
    job = RunSettings.model_validate({"job": {**_JOB, "secrets": {"PGPASSWORD": "orders/password"}}}).job
    assert job is not None
    assert job.image == "postgres:15"
    with pytest.raises(ValidationError, match="must be local"):
        RunSettings.model_validate("somewhere")

    wrong = _mistakes(
        JobSettings, {**_JOB, "namespace": "No", "image": "postgres", "secrets": {"a b": "x/y", "A": "plain password"}}
    )
    assert set(wrong) == {"namespace", "image", "secrets.a b", "secrets.A"}
    assert "plain password" not in str(wrong)
    assert list(_mistakes(JobSettings, {**_JOB, "image": "postgres:latest"})) == ["image"]


def test_the_settings_load_no_driver() -> None:
    text = (
        "import sys\nimport bot.integrations.postgres.settings, bot.integrations.programs.settings\n"
        "sys.exit(bool({'psycopg', 'boto3', 'kubernetes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False).returncode == 0
