"""Resolves references to secrets in the settings: ${env:} ${file:} ${aws-sm:} ${vault:}.

A reference must be the whole value, or it is a fault, so no secret becomes part of a text that may be printed.
boto3 is loaded only when a reference asks AWS.
"""

from __future__ import annotations

import importlib
import json
import re
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, SecretStr

from bot.config.faults import Loc, Plain, SettingsDocument, SettingsFault
from bot.core.errors import Rejected

_REFERENCE = re.compile(r"\$\{([a-z-]+):([^{}]+)\}")
_WITHOUT_PROVIDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LARGEST = 64 * 1024  #: bytes of one secret
_TIMEOUT_S = 5.0
_MAX_ANSWER = 1024 * 1024


def resolve_references(given: SettingsDocument, environ: Mapping[str, str]) -> frozenset[Loc]:
    """Put every referenced value into the tree, in place. Returns the places that were references.

    A reference that cannot be resolved stays in the tree, and becomes a fault at its place.
    """
    near = Path(given.file).absolute().parent
    places = list(_references(given.tree, ()))
    for loc, text, put in places:
        try:
            put(read_secret(text, near=near, environ=environ))
        except Rejected as refusal:
            given.add_fault(loc, refusal.message, on_value=True)
    return frozenset(loc for loc, _, _ in places)


def read_secret(reference: str, *, near: Path, environ: Mapping[str, str]) -> str:
    """The value behind `${provider:name}`. Relative file names start from the directory `near`.

    Raises:
        Rejected: the text is more than a reference, or the provider gave no value. Never shows a value.
    """
    match = _REFERENCE.fullmatch(reference)
    if bare := _WITHOUT_PROVIDER.fullmatch(reference):
        raise Rejected(f"is a reference without a provider; write ${{env:{bare[1]}}}")
    if not match:
        raise Rejected("holds a reference inside other text; a reference must be the whole value")
    provider, name = match.groups()
    match provider:
        case "env":
            value = _from_environment(name, environ)
        case "file":
            value = _from_file(near / name)
        case "aws-sm":
            value = _from_aws(name, environ)
        case "vault":
            value = _from_vault(name, environ)
        case _:
            raise Rejected(f"names an unknown provider {provider!r}; use env, file, aws-sm or vault")
    if not value.strip():
        raise Rejected(f"{name} is empty; put the value there")
    return value


def held_by(section: object, loc: Loc = ()) -> Iterator[tuple[Loc, SecretStr]]:
    """Every secret of the settings (or of the part of them at `loc`), with its place."""
    if isinstance(section, SecretStr):
        yield loc, section
    elif isinstance(section, BaseModel):
        for key in type(section).model_fields:
            yield from held_by(getattr(section, key), (*loc, key))
    elif isinstance(section, tuple):
        for number, item in enumerate(section):
            yield from held_by(item, (*loc, number))
    elif isinstance(section, Mapping):
        for key, item in section.items():
            yield from held_by(item, (*loc, key))


def plain_text_secrets(
    settings: BaseModel, referred: frozenset[Loc], given: SettingsDocument
) -> Iterator[SettingsFault]:
    """A warning for each secret written in the file itself. A database URL without a password is not a secret."""
    for loc, secret in held_by(settings):
        value = secret.get_secret_value()
        if loc in referred or loc not in given.values or not value:
            continue
        if "://" not in value or urlsplit(value).password:
            yield given.fault(loc, PLAIN_TEXT, on_value=True)


PLAIN_TEXT = "is a secret in plain text; fine on your own machine, elsewhere write ${env:NAME} or ${file:PATH}"


def _references(tree: Plain, loc: Loc) -> Iterator[tuple[Loc, str, Callable[[str], None]]]:
    """Each text with `${` in it: its place, the text, and a function that replaces it."""
    if not isinstance(tree, dict | list):
        return
    branches = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for step, value in branches:
        here = (*loc, step)
        if isinstance(value, str) and "${" in value:
            yield here, value, _putter(tree, step)
        else:
            yield from _references(value, here)


def _putter(tree: dict[str, Plain] | list[Plain], step: str | int) -> Callable[[str], None]:
    def put(value: str) -> None:
        if isinstance(tree, dict):
            tree[str(step)] = value
        else:
            tree[int(step)] = value

    return put


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise Rejected(f"needs the environment variable {name}, which is not set; export it")
    return environ[name]


def _from_file(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Rejected(f"{path} is not a regular file; name one that holds the secret alone")
        if found.st_mode & stat.S_IROTH:
            raise Rejected(f"{path} can be read by every user; run chmod o-r on it (in Kubernetes: defaultMode: 0440)")
        if found.st_size > _LARGEST:
            raise Rejected(f"{path} is larger than 64 KiB; name a file that holds the secret alone")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Rejected(f"{path} cannot be read ({error.strerror}); create it for the bot's user") from None
    except ValueError:
        raise Rejected("names a file that is not UTF-8 text; store the secret as text") from None


def _from_aws(name: str, environ: Mapping[str, str]) -> str:
    id_, _, key = name.partition("#")
    cloud = importlib.import_module("bot.integrations.aws.client")
    value: str = cloud.secret(id_, key, endpoint_url=environ.get("AWS_ENDPOINT_URL") or None)
    return value


def _from_vault(name: str, environ: Mapping[str, str]) -> str:
    """One key of a KV v2 secret: `mount/path#key` as `vault kv get` writes it, without the inner `data/`."""
    place, _, key = name.partition("#")
    mount, _, path = place.strip("/").partition("/")
    if not (mount and path and key):
        raise Rejected("must be ${vault:mount/path#key}")
    held = _ask_vault(f"/v1/{quote(mount)}/data/{quote(path)}", place, environ)
    value = held.get(key)
    if not isinstance(value, str):
        raise Rejected(f"Vault has no text under the key {key!r} of {place}; check the key")
    return value


def _ask_vault(path: str, place: str, environ: Mapping[str, str]) -> dict[str, object]:
    """Follows no redirect: that would send the token to the address in the answer."""
    address, token = environ.get("VAULT_ADDR", ""), environ.get("VAULT_TOKEN", "")
    if not (address and token):
        raise Rejected("needs VAULT_ADDR and VAULT_TOKEN in the environment; export both")
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
    if environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = environ["VAULT_NAMESPACE"]
    try:
        connection = _connection(address, environ.get("VAULT_CACERT"))
        try:
            connection.request("GET", urlsplit(address).path.rstrip("/") + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(_MAX_ANSWER)
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        raise Rejected(f"Vault was not reached for {place} ({type(error).__name__}); check VAULT_ADDR") from None
    if answer.status != HTTPStatus.OK:
        raise Rejected(f"Vault answered {answer.status} for {place}; check the path and the token's policy")
    return _vault_values(body, place)


def _connection(address: str, authority: str | None) -> HTTPConnection:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Rejected("needs a VAULT_ADDR that begins with http:// or https://")
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    trust = ssl.create_default_context(cafile=authority)
    return HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S, context=trust)


def _vault_values(body: bytes, place: str) -> dict[str, object]:
    try:
        values = json.loads(body)["data"]["data"]
    except (ValueError, KeyError, TypeError):
        values = None
    if not isinstance(values, dict):
        raise Rejected(f"Vault's answer for {place} is not a KV version 2 secret; enable version 2 on that mount")
    return values
