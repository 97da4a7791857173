"""The shipped settings, their schema and the Alertmanager example are what they claim to be."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from bot.__main__ import main, written_schema
from bot.config import backup_engines
from bot.config.settings import Settings, load_settings

CONFIG = Path(__file__).parents[2] / "deploy" / "config"


def test_the_committed_schema_is_the_one_of_the_models() -> None:
    committed = (CONFIG / "vakhta.schema.json").read_text()

    assert committed == written_schema(), "run: python -m bot schema"


def test_the_schema_speaks_of_the_file_and_not_of_python(tmp_path: Path) -> None:
    assert main(["schema", str(tmp_path / "s.json")]) == 0

    schema = json.loads((tmp_path / "s.json").read_text())
    assert schema["$defs"]["IncidentsSettings"]["properties"]["reopen_within"]["default"] == 60
    assert schema["$defs"]["ServerSettings"]["additionalProperties"] is False
    assert "PT" not in {str(default)[:2] for default in _defaults(schema)}
    assert not [default for default in _defaults(schema) if "*****" in str(default)]


def _defaults(schema: object) -> list[object]:
    if isinstance(schema, list):
        return [found for item in schema for found in _defaults(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["default"]] if "default" in schema else []
    return own + [found for item in schema.values() for found in _defaults(item)]


def test_a_schema_that_cannot_be_written_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["schema", str(tmp_path / "no" / "where.json")])

    assert code == 1
    assert "was not written: No such file" in capsys.readouterr().err


def test_the_local_example_starts_with_the_token_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(CONFIG / "local.yaml", {})

    assert settings.server.listen == "127.0.0.1:8080"
    assert settings.local_operator
    assert settings.sources.alertmanager is not None
    assert [token.get_secret_value() for token in settings.sources.alertmanager.tokens] == ["local-only-token"]


#: What stands in for a secret whose form is known.
_FORMS = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "TELEGRAM_TOKEN": f"123456:{'A' * 35}",
    "TELEGRAM_SECRET_TOKEN": "an_env-secret",
    "VAKHTA_AUDIT_KEY": f"{'A' * 43}=",
    "secrets/pagerduty-routing-key": "0" * 32,
}


@pytest.fixture
def production(tmp_path: Path) -> tuple[Path, Mapping[str, str]]:
    """The production example with every secret it asks for."""
    path = Path(shutil.copy(CONFIG / "production.yaml", tmp_path))
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"\$\{file:(secrets/[a-z-]+)\}", path.read_text()):
        secret = tmp_path / name
        secret.write_text(_FORMS.get(name, "a-file-secret") + "\n")
        secret.chmod(0o600)
    lines = [line for line in (CONFIG / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    given = {
        name: _FORMS.get(name) or value or "an-env-secret" for name, _, value in (line.partition("=") for line in lines)
    }
    assert "VAKHTA_AUDIT_KEY" in given
    return path, given


def test_the_production_example_has_no_fault_once_its_secrets_are_there(
    production: tuple[Path, Mapping[str, str]],
) -> None:
    path, environ = production

    settings = load_settings(path, environ)

    assert settings.server.drain.total_seconds() == 20
    assert settings.channels.slack is not None
    assert settings.channels.pagerduty is not None
    assert settings.channels.pagerduty.routing_key.get_secret_value() == "0" * 32


#: Ends with the number of connections that were tried, and the modules that were loaded.
_WATCHED = """
import sys
tried = []
sys.addaudithook(lambda event, _: tried.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from bot.__main__ import main
code = main(sys.argv[1:])
print("ENDED", code, len(tried), *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_check_of_every_key_opens_no_connection_and_loads_no_sdk(
    production: tuple[Path, Mapping[str, str]],
) -> None:
    path, environ = production
    command = [sys.executable, "-c", _WATCHED, "check", "--config", str(path)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environ})

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, code, connections, *modules = ran.stdout.splitlines()[-1].split()
    assert (code, connections) == ("0", "0"), ran.stderr
    assert not set(modules) & {"kubernetes", "boto3", "telegram", "slack_sdk", "pdpyras", "requests", "sqlalchemy"}
    # The limit is 0.5 s of processor time; four times that on a machine that is busy.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 2.0


@pytest.mark.parametrize("model", ["", *Settings.model_json_schema()["$defs"]])
def test_the_production_example_shows_every_key_there_is(model: str) -> None:
    schema = Settings.model_json_schema()
    text = (CONFIG / "production.yaml").read_text()

    keys = (schema["$defs"][model] if model else schema).get("properties", {})

    assert [key for key in keys if not re.search(rf"^[^#]*\b{key}: ?", text, re.MULTILINE)] == []


@pytest.mark.parametrize("engine", backup_engines.ENGINES)
def test_the_production_example_shows_a_store_of_each_engine_with_every_key(engine: str) -> None:
    read = yaml.safe_load((CONFIG / "production.yaml").read_text())
    kind = backup_engines.section_class(engine)
    assert kind is not None

    stores = [one for one in read["backups"]["stores"] if one["engine"] == engine]

    assert {key for one in stores for key in one["where"]} == set(kind.model_fields)


@pytest.mark.parametrize("name", ["local.yaml", "production.yaml"])
def test_an_example_names_its_schema_for_the_editor(name: str) -> None:
    first = (CONFIG / name).read_text().splitlines()[0]

    assert first == "# yaml-language-server: $schema=vakhta.schema.json"


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool (Debian's prometheus-alertmanager) is not installed")
def test_the_alertmanager_example_is_well_formed_for_alertmanager() -> None:
    ran = subprocess.run(
        ["amtool", "check-config", str(CONFIG / "alertmanager.yml")], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_alertmanager_example_pages_directly_from_the_same_receiver() -> None:
    read = yaml.safe_load((CONFIG / "alertmanager.yml").read_text())

    both = next(receiver for receiver in read["receivers"] if "pagerduty_configs" in receiver)

    (webhook,) = both["webhook_configs"]
    assert webhook["url"].endswith("/alerts/alertmanager")
    assert webhook["send_resolved"] is True
    assert webhook["max_alerts"] == 0
    assert webhook["http_config"]["authorization"]["type"] == "Bearer"
