"""A live answer is updated in one message until it is stable, its time is over, or the channel refuses."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from bot.chatops.live_answers import LiveAnswers
from bot.core.errors import Rejected, Undelivered
from bot.core.plan import Outcome, Result
from bot.core.request import Request
from tests.fakes.chat import Chat
from tests.house import ANA

pytestmark = pytest.mark.waits

_ASK = Request(by=ANA, text="status prod/api", channel="slack", incident_id=None, thread="C1")


def found(said: str, *, moves: bool = True) -> Outcome:
    return Outcome(result=Result.DONE, message=said, live=moves)


class Answers:
    """One after the other; `over` is set once the last one was asked for, and the thread has come to its end."""

    def __init__(self, *answers: Outcome | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self) -> Outcome:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ended(following: LiveAnswers) -> None:
    for one in threading.enumerate():
        if one.name.startswith("live-answer-"):
            one.join(60)
    assert not following._updating


def test_what_is_new_is_told_in_one_message_until_it_rests() -> None:
    chat = Chat()
    following = LiveAnswers({"slack": chat}, every_s=0.0)
    look = Answers(found("step 1"), found("step 2"), found("step 2"), found("done", moves=False))

    reply = following.reply(_ASK, found("step 1"), look)
    ended(following)

    assert reply.text == "step 1"
    assert chat.said == [("C1", "status prod/api: done")]
    assert look.asked == 4


def test_what_rests_is_told_once() -> None:
    look = Answers(found("x"))
    following = LiveAnswers({"slack": Chat()}, every_s=0.0)

    following.reply(_ASK, found("done", moves=False), look)
    ended(following)

    assert look.asked == 0


def test_where_no_line_can_be_said_it_is_told_once() -> None:
    look = Answers(found("x"))
    following = LiveAnswers({}, every_s=0.0)

    following.reply(_ASK, found("step 1"), look)
    following.reply(replace(_ASK, thread=""), found("step 1"), look)

    assert look.asked == 0


def test_after_its_time_nothing_more_is_told() -> None:
    chat = Chat()
    following = LiveAnswers({"slack": chat}, every_s=0.0, lasts_s=0.0)

    following.reply(_ASK, found("step 1"), Answers(found("step 2")))
    ended(following)

    assert chat.said == []


def test_a_chat_that_does_not_answer_ends_it() -> None:
    following = LiveAnswers({"slack": Chat(Undelivered("down"))}, every_s=0.0)
    look = Answers(found("step 2"))

    following.reply(_ASK, found("step 1"), look)
    ended(following)

    assert look.asked == 1


def test_a_world_that_does_not_answer_ends_it() -> None:
    chat = Chat()
    following = LiveAnswers({"slack": chat}, every_s=0.0)

    following.reply(_ASK, found("step 1"), Answers(Rejected("gone")))
    ended(following)

    assert chat.said == []


def test_the_same_question_at_the_same_place_is_followed_once() -> None:
    gate = threading.Event()
    following = LiveAnswers({"slack": Chat()}, every_s=0.0)

    def look() -> Outcome:
        gate.wait(60)
        return found("done", moves=False)

    following.reply(_ASK, found("step 1"), look)
    following.reply(_ASK, found("step 1"), look)
    threads = [one for one in threading.enumerate() if one.name.startswith("live-answer-")]
    gate.set()
    ended(following)

    assert len(threads) == 1


def test_what_can_be_pressed_makes_a_card_of_it() -> None:
    outcome = replace(found("Rollout api: Paused.\nAt step 2", moves=False), buttons={"Promote": "promote prod/api"})

    reply = LiveAnswers({}).reply(_ASK, outcome, Answers(outcome))

    assert reply.card is not None
    assert (reply.card.title, reply.card.lines) == ("Rollout api: Paused.", ("At step 2",))
    assert dict(reply.card.buttons) == {"Promote": "promote prod/api"}
