"""Slack on the bench, in either mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import pytest
from pydantic import SecretStr

from bot.core.message import MessageKind
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.settings import SlackSettings
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.contract import INCIDENT, Act, Bench, notice

Mode = Literal["socket", "http"]

_POST = "chat.postMessage"


class SlackBench(Bench):
    def __init__(self, fake: FakeSlack, mode: Mode) -> None:
        self.fake = fake
        self.secrets = (fake.bot_token, fake.app_token, fake.workspace.secret)
        self.door = SmallDoor(people={("slack", "U1"): ANA})
        self.channel = self.slack = Slack(
            SlackSettings(
                bot_token=SecretStr(fake.bot_token),
                app_token=SecretStr(fake.app_token),
                signing_secret=SecretStr(fake.workspace.secret),
                team_id=fake.workspace.team_id,
                channel=fake.workspace.channel,
                api_url=fake.api_url,
                mode=mode,
            )
        )

    def wait_until_it_listens(self) -> None:
        self.fake.wait(lambda: self.slack.health_problem() is None, "a Slack channel that listens")

    def genuine(self, body: bytes) -> Act:
        return Act(headers=self.fake.workspace.sign(body, "application/json"), body=body)

    def act(self, *, listed: bool, once: str) -> Act:
        ref = self.channel.deliver(notice(MessageKind.CARD))
        assert ref
        self.door.standing["slack", ref] = INCIDENT
        pressed = self.fake.press(f"ack {INCIDENT}", user="U1" if listed else "U2", message=ref)
        headers, body = self.fake.sign(pressed)
        return Act(headers=headers, body=body)

    def said_after(self, act: Act) -> str:
        self.channel.receive(act.headers, act.body)
        return self.fake.whispers[-1].text

    def standing(self) -> list[str]:
        return [message.shown for message in self.fake.messages if message.thread_ts is None]

    def thread_of(self, ref: str) -> list[str]:
        root = self.fake.message(ref).ts
        return [message.shown for message in self.fake.messages if message.thread_ts == root]

    def pinged(self) -> list[str]:
        return [whom for message in self.fake.messages for whom in message.pings]

    def answer_next(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.fake.answer_next(status=status, body=body, headers=headers, path=_POST)

    def fail_next(self, trouble: str) -> None:
        match trouble:
            case "slow_down":
                self.fake.answer_next(status=429, retry_after=7, path=_POST)
            case "refusal":
                self.fake.refuse_next("channel_not_found")
            case "failure":
                self.fake.answer_next(status=503, body=b"upstream is gone", path=_POST)
            case "reset":
                self.fake.answer_next(reset=True, path=_POST)
            case "hang":
                self.fake.answer_next(hang=True, path=_POST)
            case "lost_answer":
                self.fake.answer_next(reset=True, after_effect=True, path=_POST)


@contextmanager
def open_slack(patch: pytest.MonkeyPatch) -> Iterator[SlackBench]:
    with _open(patch, "http") as bench:
        yield bench


@contextmanager
def open_slack_socket(patch: pytest.MonkeyPatch) -> Iterator[SlackBench]:
    with _open(patch, "socket") as bench:
        yield bench


@contextmanager
def _open(patch: pytest.MonkeyPatch, mode: Mode) -> Iterator[SlackBench]:
    patch.setattr("bot.integrations.slack.channel._POST_S", 2.0)
    with FakeSlack() as fake:
        yield SlackBench(fake, mode)
