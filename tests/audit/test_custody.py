"""Administration of the log by a person (`vakhta audit rotate`, `restored`): each verification reports it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.lib import crypto
from bot.store.engine import Store
from tests.audit_place import SEED, Place, placed, signer_of

_NEXT, _THIRD = crypto.new_seed(), crypto.new_seed()


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    return placed(store_url, tmp_path)


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the log of its whole process, which here is that of all tests."""
    monkeypatch.setattr("bot.lib.logs.start", lambda **_: None)


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
    assert f"key handover: {signer_of().verifier_key} to" in capsys.readouterr().out
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
    assert f"unknown key, '{stranger.key_id}': it is not named, and no trusted key" in capsys.readouterr().out


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
        ({"key": _NEXT}, "audit.previous_key is not set"),
        ({"key": SEED, "previous_key": SEED}, "are the same"),
        ({"key": SEED, "previous_key": _NEXT}, "already"),
        ({"key": _NEXT, "previous_key": _THIRD}, "Set audit.previous_key to the key that signs now"),
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
    assert "was itself handed over before" in capsys.readouterr().err


def cut(place: Place, size: int) -> None:
    """What an old copy is: nothing of it tells that there was more."""
    for table, key in (("anchor", "size > ?"), ("checkpoint", "size > ?"), ("seal", "pos >= ?")):
        place.tamper(f"DELETE FROM audit_{table} WHERE {key}", size)
    place.tamper("DELETE FROM audit_entry WHERE id NOT IN (SELECT entry_id FROM audit_seal)")


def restored(place: Place, *words: str) -> int:
    return place.run("restored", "--because", "The disk was lost.", "--anchors", str(place.outside), *words)


def verified(place: Place) -> int:
    return place.run("verify", "--anchors", str(place.outside))


def test_a_copy_that_was_put_back_is_red_until_somebody_owns_up_to_it_and_is_told_of_ever_after(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()  # 3 entries
    place.write()  # 6
    cut(place, 3)
    before = verified(place)

    owned = restored(place)
    after = verified(place)
    place.write()
    place.write()  # more than was lost, with roots of their own
    later = verified(place)

    out = capsys.readouterr().out
    assert (before, owned, after, later) == (4, 0, 0, 0)
    assert "Of 6 anchored entries, all after the first 3 are lost." in out
    assert out.count("flagged: position 3: a copy was restored: of 6 anchored entries") == 2
    assert "The disk was lost." in out.rpartition("flagged")[2]
    assert place.run("verify") == 0
    assert "a copy was restored" in capsys.readouterr().out, "also where no anchor is checked"


def test_a_copy_that_went_on_before_anybody_owned_up_is_altered_until_then(place: Place) -> None:
    place.write()
    place.write()
    cut(place, 3)
    place.write()
    place.write()
    assert verified(place) == 2

    assert restored(place) == 0

    assert verified(place) == 0


def test_each_copy_that_is_put_back_is_owned_up_to_on_its_own(place: Place) -> None:
    for _ in range(2):
        place.write()
        place.write()
        place.write()
        (size,) = place.asked(
            "SELECT max(size) FROM audit_checkpoint WHERE size < (SELECT max(size) FROM audit_anchor)"
        )
        assert isinstance(size, int)
        cut(place, size)
        assert verified(place) == 4
        assert restored(place) == 0
        assert verified(place) == 0

    (first, second) = place.asked("SELECT body FROM audit_entry WHERE code = 'VK006W' ORDER BY id")
    assert [json.loads(bytes(body))["more"]["epoch"] for body in (first, second)] == ["1", "2"]  # type: ignore[call-overload]


def test_what_was_owned_up_to_excuses_nothing_else(place: Place) -> None:
    place.write()
    place.write()
    cut(place, 3)
    assert restored(place) == 0
    place.write()
    place.write()

    cut(place, 5)

    assert verified(place) == 4


def test_an_entry_that_owns_up_and_that_nobody_has_signed_excuses_nothing(place: Place) -> None:
    place.write()
    place.write()
    cut(place, 3)
    assert restored(place) == 0
    place.tamper("DELETE FROM audit_checkpoint WHERE size > 3")

    assert verified(place) == 4


def test_where_nothing_is_lost_nothing_is_written(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    before = codes(place)

    assert restored(place) == 1
    assert place.run("restored", "--because", "So.") == 1

    err = capsys.readouterr().err
    assert "all anchors agree" in err
    assert "only an anchor shows what is lost" in err
    assert codes(place) == before
