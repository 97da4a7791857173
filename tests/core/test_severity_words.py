"""What other systems call a severity is understood, however it is written."""

from __future__ import annotations

import pytest

from bot.core.alert import Severity
from bot.core.severity_words import USUAL_SEVERITIES, fold, severity_of

SAID = {
    Severity.CRITICAL: "critical Critical CRIT crit emerg urgent page fatal P1 p-1 SEV1 sev-1 Sev_0 1 disaster alert",
    Severity.ERROR: "error err high major P2 Sev-2 sev.2 2",
    Severity.WARNING: "warning WARN medium moderate average minor P3 SEV3 3",
    Severity.INFO: "info informational notice low none None OK debug P4 p5 sev5 4 5",
}


@pytest.mark.parametrize(("severity", "word"), [(one, word) for one, words in SAID.items() for word in words.split()])
def test_the_words_of_other_systems_are_known(severity: Severity, word: str) -> None:
    assert severity_of({"severity": word}, ["severity"], USUAL_SEVERITIES) == (severity, "")


@pytest.mark.parametrize("word", ["Critical ", " critical", "CRITICAL\n", "SEV 1", "Sev: 1", "P 1", "#1"])
def test_blanks_and_joints_make_no_other_word(word: str) -> None:
    assert severity_of({"severity": word}, ["severity"], USUAL_SEVERITIES) == (Severity.CRITICAL, "")


def test_every_usual_word_is_written_as_it_is_looked_up() -> None:
    assert [word for word in USUAL_SEVERITIES if fold(word) != word] == []


def test_the_first_label_with_a_known_word_counts_and_an_unknown_one_is_named() -> None:
    names = ["severity", "priority"]

    assert severity_of({"severity": "odd", "priority": "P2"}, names, USUAL_SEVERITIES) == (Severity.ERROR, "")
    assert severity_of({"severity": " odd ", "priority": "no"}, names, USUAL_SEVERITIES) == (None, "odd")
    assert severity_of({"severity": " ", "team": "a"}, names, USUAL_SEVERITIES) == (None, "")
