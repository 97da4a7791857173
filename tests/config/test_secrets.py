"""Each provider of secrets, over real files and real HTTP; what it does not give is a fault that shows nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.config.faults import InvalidSettings
from bot.config.settings import load_settings
from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer

TEXT = "server: {api_token: '%s'}"


class Vault(StrictServer):
    """KV version 2 under the mount `kv`, one token."""

    def answer(self, call: Call) -> Answer:
        if call.headers.get("x-vault-token") != "vault-token":
            return Answer.json({"errors": ["permission denied"]}, status=403)
        if call.verb != "GET" or call.query or call.body:
            self.fault(f"{call.verb} {call.path} is not a plain read")
        kept = {
            "/v1/kv/data/vakhta/prod": {"data": {"api": "from-vault", "number": 5}, "metadata": {"version": 3}},
            "/v1/old/data/vakhta": {"api": "version-1"},
        }
        if call.path not in kept:
            return Answer.json({"errors": []}, status=404)
        return Answer.json({"data": kept[call.path]})


class SecretsManager(StrictServer):
    """GetSecretValue of AWS Secrets Manager."""

    def answer(self, call: Call) -> Answer:
        if call.headers.get("x-amz-target") != "secretsmanager.GetSecretValue" or call.verb != "POST":
            self.fault(f"{call.verb} {call.headers.get('x-amz-target')} was not expected")
        if "Credential=AKIDEXAMPLE/" not in call.headers.get("authorization", ""):
            self.fault("the request is not signed with the credentials of the environment")
        asked = json.loads(call.body)
        kept = {"vakhta/prod": json.dumps({"api": "from-aws", "number": 5}), "plain": "plain-from-aws"}
        if asked["VersionStage"] != "AWSCURRENT":
            self.fault("another version than the current one was asked for")
        if asked["SecretId"] == "binary":
            return Answer.json({"Name": "binary", "SecretBinary": "AAAA"})
        if asked["SecretId"] not in kept:
            return Answer.json({"__type": "ResourceNotFoundException", "message": "no"}, status=400)
        return Answer.json({"Name": asked["SecretId"], "SecretString": kept[asked["SecretId"]]})


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault() as fake:
        yield fake


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-own-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with SecretsManager() as fake:
        yield fake


@pytest.fixture
def api_token(tmp_path: Path) -> Callable[..., str]:
    """The secret that a settings file with this reference ends up with."""

    def look_up(reference: str, **environ: str) -> str:
        path = tmp_path / "vakhta.yaml"
        path.write_text(TEXT % reference)
        token = load_settings(path, environ).server.api_token
        assert token is not None
        return token.get_secret_value()

    return look_up


def keep(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_a_file_is_found_beside_the_settings_and_loses_its_last_line_end(
    tmp_path: Path, api_token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "secrets" / "token", " inner space kept \r\n")
    monkeypatch.chdir("/")

    assert api_token("${file:secrets/token}") == " inner space kept "


def test_a_file_for_the_group_may_be_used(tmp_path: Path, api_token: Callable[..., str]) -> None:
    path = keep(tmp_path / "token", "grouped", 0o440)

    assert api_token(f"${{file:{path}}}") == "grouped"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("planted", 0o644, "can be read by everybody; chmod o-r"),
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        (b"\xff\xfe", 0o600, "not UTF-8"),
        ("x" * 70_000, 0o600, "larger than 64 KiB"),
    ],
)
def test_a_file_that_will_not_do_is_a_fault(
    tmp_path: Path, api_token: Callable[..., str], text: str | bytes, mode: int, said: str
) -> None:
    keep(tmp_path / "token", text, mode)

    with pytest.raises(InvalidSettings, match=said) as caught:
        api_token("${file:token}")

    assert [(fault.line, fault.column, fault.key) for fault in caught.value.faults] == [(1, 21, "server.api_token")]
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere", "No such file"), (".", "not a regular"), ("pipe", "not a regular")]
)
def test_what_is_no_file_is_a_fault_and_is_not_waited_for(
    tmp_path: Path, api_token: Callable[..., str], name: str, said: str
) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InvalidSettings, match=said):
        api_token(f"${{file:{name}}}")


def test_an_empty_environment_variable_is_a_fault(api_token: Callable[..., str]) -> None:
    with pytest.raises(InvalidSettings, match="TOKEN is empty"):
        api_token("${env:TOKEN}", TOKEN="")


def test_vault_gives_one_key_of_a_secret(vault: Vault, api_token: Callable[..., str]) -> None:
    token = api_token(
        "${vault:kv/vakhta/prod#api}", VAULT_ADDR=f"{vault.url}/", VAULT_TOKEN="vault-token", VAULT_NAMESPACE="n1"
    )

    assert token == "from-vault"
    assert vault.received[0].headers["x-vault-namespace"] == "n1"


@pytest.mark.parametrize(
    ("reference", "token", "said"),
    [
        ("${vault:kv/vakhta/prod#nope}", "vault-token", "no text under the key 'nope'"),
        ("${vault:kv/vakhta/prod#number}", "vault-token", "no text under the key 'number'"),
        ("${vault:kv/elsewhere#api}", "vault-token", "answered 404 for kv/elsewhere"),
        ("${vault:kv/vakhta/prod#api}", "wrong-token", "answered 403 for kv/vakhta/prod"),
        ("${vault:old/vakhta#api}", "vault-token", "not a KV version 2 secret"),
        ("${vault:kv/vakhta/prod}", "vault-token", "must be ..vault:mount/path#key"),
        ("${vault:kv#api}", "vault-token", "must be ..vault:mount/path#key"),
    ],
)
def test_what_vault_does_not_give_is_a_fault(
    vault: Vault, api_token: Callable[..., str], reference: str, token: str, said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said) as caught:
        api_token(reference, VAULT_ADDR=vault.url, VAULT_TOKEN=token)

    assert token not in str(caught.value)


def test_vaults_token_does_not_follow_a_redirect(vault: Vault, api_token: Callable[..., str]) -> None:
    vault.answer_next(status=307)

    with pytest.raises(InvalidSettings, match="answered 307"):
        api_token("${vault:kv/vakhta/prod#api}", VAULT_ADDR=vault.url, VAULT_TOKEN="vault-token")

    assert len(vault.received) == 1


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "needs VAULT_ADDR and VAULT_TOKEN"),
        ({"VAULT_ADDR": "vault:8200", "VAULT_TOKEN": "t"}, "begins with http"),
        ({"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "t"}, "was not reached"),
        ({"VAULT_ADDR": "http://127.0.0.1:x", "VAULT_TOKEN": "t"}, "was not reached"),
        ({"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "t\nX-Evil: 1"}, "was not reached"),
    ],
)
def test_a_vault_that_cannot_be_asked_is_a_fault(
    api_token: Callable[..., str], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said):
        api_token("${vault:kv/a#b}", **environ)


def test_a_vault_that_drops_the_connection_is_a_fault(vault: Vault, api_token: Callable[..., str]) -> None:
    vault.answer_next(reset=True)

    with pytest.raises(InvalidSettings, match="was not reached"):
        api_token("${vault:kv/vakhta/prod#api}", VAULT_ADDR=vault.url, VAULT_TOKEN="vault-token")


@pytest.mark.parametrize(
    ("reference", "value"), [("${aws-sm:vakhta/prod#api}", "from-aws"), ("${aws-sm:plain}", "plain-from-aws")]
)
def test_aws_gives_a_secret_or_one_key_of_it(
    aws: SecretsManager, api_token: Callable[..., str], reference: str, value: str
) -> None:
    assert api_token(reference, AWS_ENDPOINT_URL=aws.url) == value


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${aws-sm:nope#api}", "answered ResourceNotFoundException for 'nope'"),
        ("${aws-sm:vakhta/prod#nope}", "no text under the key 'nope'"),
        ("${aws-sm:vakhta/prod#number}", "no text under the key 'number'"),
        ("${aws-sm:plain#api}", "is not JSON"),
        ("${aws-sm:binary#api}", "is binary"),
    ],
)
def test_what_aws_does_not_give_is_a_fault(
    aws: SecretsManager, api_token: Callable[..., str], reference: str, said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said) as caught:
        api_token(reference, AWS_ENDPOINT_URL=aws.url)

    assert "plain-from-aws" not in str(caught.value)


def test_an_aws_without_region_is_a_fault(
    aws: SecretsManager, api_token: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(InvalidSettings, match="was not asked for 'a': NoRegionError; check region"):
        api_token("${aws-sm:a#b}", AWS_ENDPOINT_URL=aws.url)


@pytest.mark.parametrize(("reference", "loaded"), [("${env:T}", "False"), ("${aws-sm:plain}", "True")])
def test_boto3_is_loaded_only_when_a_reference_asks_aws(
    aws: SecretsManager, tmp_path: Path, reference: str, loaded: str
) -> None:
    path = tmp_path / "vakhta.yaml"
    path.write_text(TEXT % reference)
    code = (
        "import os, sys, pathlib; from bot.config.settings import load_settings;"
        "load_settings(pathlib.Path(sys.argv[1]), os.environ); print('boto3' in sys.modules)"
    )
    environ = os.environ | {"T": "x", "AWS_ENDPOINT_URL": aws.url}

    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environ, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == loaded
