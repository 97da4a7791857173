"""Whether the files of a backup are there in full: its manifest against a listing of the repository.

What it promises: a file or a bundle that is missing or too short is found without reading any of it. A file whose
bytes were changed and whose size was not is found by a restore alone.
Format 5 of pgBackRest (doc: src/info/manifest/manifest.c): a line for each file, sizes of stored files in `repo-size`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

_SUFFIXES = {"gz": ".gz", "bz2": ".bz2", "lz4": ".lz4", "zst": ".zst", "none": ""}


def wanted(manifest: str, label: str) -> Mapping[tuple[str, str], int]:
    """(label, path in its folder) -> least size. Several files in one bundle give one entry."""
    suffix = ""
    least: dict[tuple[str, str], int] = {}
    for section, name, value in _lines(manifest):
        if section == "backup:option" and name == "option-compress-type":
            suffix = _SUFFIXES.get(json.loads(value), "")
    for section, name, value in _lines(manifest):
        if section != "target:file":
            continue
        file = json.loads(value)
        size = file.get("repo-size", file.get("size", 0))
        if not file.get("size"):
            continue  # An empty file is not stored.
        owner = file.get("reference", label)
        if "bni" in file:
            place, least_size = (owner, f"bundle/{file['bni']}"), file.get("bno", 0) + size
        else:
            ending = ".pgbi" if "bims" in file else suffix
            place, least_size = (owner, f"{name}{ending}"), size
        least[place] = max(least.get(place, 0), least_size)
    return least


def short(wanted_files: Mapping[tuple[str, str], int], there: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The files that are missing or too short, in words. `there`: label -> path -> bytes."""
    found = []
    for (label, path), least in sorted(wanted_files.items()):
        size = there.get(label, {}).get(path)
        if size is None:
            found.append(f"{label}/{path} is missing")
        elif size < least:
            found.append(f"{label}/{path} has {size} of at least {least} bytes")
    return found


def _lines(manifest: str) -> Iterator[tuple[str, str, str]]:
    """Section, name, value. A name may have = in it, a value is JSON that begins behind the first ={ or ="."""
    section = ""
    for line in manifest.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            name, value = _split(line)
            yield section, name, value


def _split(line: str) -> tuple[str, str]:
    at = line.find("={")
    at = at if at >= 0 else line.find("=")
    return line[:at], line[at + 1 :]
