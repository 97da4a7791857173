"""Whether a kubeconfig can be used, told from the files alone: it opens no connection and runs no login.

Files are found as the package kubernetes finds them: several may be named, and what none of them holds is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from bot.lib.settings_fields import Mistake
from bot.lib.text import spell_list

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_LARGEST = 4 * 1024 * 1024
_MAX_NAMED = 5


class _Unusable(Exception):
    """The text says why, for a person."""


def kubeconfig_fault(files: str, context: str) -> Mistake | None:
    """What is wrong with `kubeconfig` or `context` of a cluster's section; None if both can be used."""
    try:
        documents = list(_documents(files))
        contexts = {name: one for document in documents for name, one in _named(document, "contexts", "context")}
        current = next((str(one["current-context"]) for one in documents if one.get("current-context")), "")
        if fault := _context_fault(context, current, contexts):
            return fault
        _check_parts(contexts[context or current], documents)
    except _Unusable as why:
        return ("kubeconfig",), str(why)
    return None


def _context_fault(context: str, current: str, contexts: Mapping[str, object]) -> Mistake | None:
    known = f"use one of: {_listed(contexts)}" if contexts else "it has none"
    if (context or current) in contexts:
        return None
    if context:
        return ("context",), f"is not a context of the kubeconfig; {known}"
    if not current:
        return ("kubeconfig",), f"has no current-context; set `context`: {known}"
    return ("kubeconfig",), f"has the current-context {current}, which it does not define; set `context`: {known}"


def _documents(files: str) -> Iterator[Mapping[str, object]]:
    paths = [Path(os.path.expanduser(one)) for one in files.split(os.pathsep) if one]  # noqa: PTH111 (as the package)
    found = [path for path in paths if path.exists()]
    if not found:
        raise _Unusable(f"names no file that exists ({paths[0].absolute() if paths else 'none'}); correct the path")
    for path in found:
        yield _document(path)


def _document(path: Path) -> Mapping[str, object]:
    try:
        if not path.is_file():
            raise _Unusable("is not a file; name the kubeconfig itself")
        if path.stat().st_size > _LARGEST:
            raise _Unusable("is larger than 4 MiB; name a kubeconfig")
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise _Unusable(f"cannot be read by this user ({error.strerror}); make it readable for the bot") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _Unusable("is not YAML; name a kubeconfig") from None
    if not isinstance(read, dict) or not isinstance(read.get("contexts"), list):
        raise _Unusable("is no kubeconfig: it has no list of contexts")
    return read


def _named(document: Mapping[str, object], many: str, one: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The entries of a list of a kubeconfig, by name."""
    listed = document.get(many)
    for entry in listed if isinstance(listed, list) else ():
        inner = entry.get(one) if isinstance(entry, dict) else None
        if isinstance(inner, dict):
            yield str(entry.get("name")), inner


def _check_parts(context: Mapping[str, object], documents: list[Mapping[str, object]]) -> None:
    """That the context's cluster and user are there. Raises `_Unusable`."""
    for many, one in (("clusters", "cluster"), ("users", "user")):
        known = dict(part for document in documents for part in _named(document, many, one))
        name = context.get(one)
        if isinstance(name, str) and name not in known:
            raise _Unusable(f"has a context whose {one} {name} it does not define; write it anew with kubectl config")


def _listed(names: Mapping[str, object]) -> str:
    shown = sorted(names)[:_MAX_NAMED]
    return spell_list(shown) if len(shown) == len(names) else f"{', '.join(shown)} ..."
