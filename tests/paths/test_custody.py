"""`vakhta audit rotate`: what a person does to the log by hand is an entry of it, and verified ever after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.store.engine import Store
from bot.tools import signing
from tests.audit_place import SEED, Place, placed, signer_of

_NEXT, _THIRD = signing.new_seed(), signing.new_seed()


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    return placed(store_url, tmp_path)


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the log of its whole process, which here is that of all tests."""
    monkeypatch.setattr("bot.logs.start", lambda **_: None)


def rotated(place: Place, old: str = SEED, new: str = _NEXT) -> None:
    place.set(key=new, previous_key=old)
    assert place.run("rotate") == 0


def codes(place: Place) -> list[str]:
    store = Store(place.url)
    with store.read() as seen:
        found = [str(row[0]) for row in seen.sql.rows("SELECT code FROM audit_entry ORDER BY id")]
    store.close()
    return found


def pinned(*seeds: str) -> list[str]:
    return [word for seed in seeds for word in ("--public-key", signer_of(seed).verifier_key)]


def test_a_key_that_was_handed_over_is_believed_by_who_believes_either(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()

    rotated(place)
    place.write(seed=_NEXT)

    assert place.run("verify", *pinned(SEED)) == 0
    assert place.run("verify", *pinned(_NEXT)) == 0
    assert place.run("verify", *pinned(SEED, _NEXT)) == 0
    assert place.run("verify", *pinned(_THIRD)) == 5
    assert place.run("verify") == 0
    assert f"handed over: {signer_of().verifier_key} to" in capsys.readouterr().out
    assert codes(place).count("VK004W") == 1


def test_keys_are_handed_over_again_and_again(place: Place) -> None:
    place.write()
    rotated(place)
    place.write(seed=_NEXT)
    rotated(place, _NEXT, _THIRD)
    place.write(seed=_THIRD)

    assert [place.run("verify", *pinned(seed)) for seed in (SEED, _NEXT, _THIRD)] == [0, 0, 0]


def test_an_export_tells_of_it_as_the_database_does(place: Place, tmp_path: Path) -> None:
    place.write()
    rotated(place)
    place.write(seed=_NEXT)
    place.run("export", "--to", tmp_path / "log.jsonl")

    assert place.run("verify", "--from", tmp_path / "log.jsonl", *pinned(SEED)) == 0


def test_a_new_key_that_the_old_one_has_not_vouched_for_is_exit_5_and_named(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    stranger = signer_of(_NEXT)
    place.write_as(stranger)

    code = place.run("verify", *pinned(SEED))

    assert code == 5
    assert f"unknown key, '{stranger.key_id}': it is not named, and none that is believed" in capsys.readouterr().out


def test_a_note_that_hands_over_and_is_not_signed_by_both_is_exit_5(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    rotated(place)
    (note,) = place.asked("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    without_old = "".join(str(note).splitlines(keepends=True)[:-1])
    place.tamper("UPDATE audit_checkpoint SET note = ? WHERE note = ?", without_old, note)

    assert place.run("verify", *pinned(SEED)) == 5
    assert "not both have signed it" in capsys.readouterr().out


def test_a_key_that_was_handed_over_signs_no_more(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    rotated(place)
    place.write()
    capsys.readouterr()
    assert place.run("verify", "--json", *pinned(SEED)) == 0
    size = json.loads(capsys.readouterr().out)["signed"]["size"]

    place.write_as(signer_of())

    assert place.run("verify", *pinned(SEED, _NEXT)) == 5
    assert f"which was handed over at {size} entries" in capsys.readouterr().out


def test_a_stolen_old_key_cannot_hand_over_a_second_time(place: Place) -> None:
    place.write()
    rotated(place)
    place.write(seed=_NEXT)
    place.hand_over(signer_of(SEED), signer_of(_THIRD))

    assert place.run("verify", *pinned(SEED, _NEXT)) == 5


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"key": _NEXT}, "audit.previous_key does not name the one that signs now"),
        ({"key": SEED, "previous_key": SEED}, "are the same"),
        ({"key": SEED, "previous_key": _NEXT}, "already"),
        ({"key": _NEXT, "previous_key": _THIRD}, "Name the key that signs now"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_and_nothing_is_written(
    place: Place, keys: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    before = codes(place)
    place.set(**keys)

    assert place.run("rotate") == 1

    assert said in capsys.readouterr().err
    assert codes(place) == before


def test_before_anything_was_signed_there_is_nothing_to_hand_over(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.set(key=_NEXT, previous_key=SEED)

    assert place.run("rotate") == 1
    assert "nothing has been signed yet" in capsys.readouterr().err


def test_a_key_never_comes_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    rotated(place)
    place.set(key=SEED, previous_key=_NEXT)

    assert place.run("rotate") == 1
    assert "has been handed over before" in capsys.readouterr().err
