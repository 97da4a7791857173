"""Telegram on the bench, in either mode."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import pytest
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.core.message import MessageKind
from bot.integrations.telegram.api import TelegramApi
from bot.integrations.telegram.channel import Telegram
from bot.integrations.telegram.settings import TelegramSettings
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.telegram import TOKEN, FakeTelegram
from tests.integrations.contract import INCIDENT, Act, Bench, notice

Mode = Literal["polling", "webhook"]

_POST = "sendMessage"
_SECRET = "webhook-secret-of-the-bench_1"
_STRANGER = 2002


class TelegramBench(Bench):
    secrets = (TOKEN, TOKEN.partition(":")[2], _SECRET)

    def __init__(self, fake: FakeTelegram, mode: Mode) -> None:
        self.fake = fake
        self.door = SmallDoor(people={("telegram", "1001"): ANA})
        self.channel = Telegram(
            TelegramSettings(
                token=SecretStr(TOKEN),
                chat_id=fake.chat_id,
                api_url=fake.api_url,
                mode=mode,
                secret_token=SecretStr(_SECRET),
                webhook_url="https://vakhta.test/in/telegram",
            )
        )
        self._mode = mode

    def wait_until_it_listens(self) -> None:
        self.fake.wait(self._listens, "a Telegram channel that listens")

    def genuine(self, body: bytes) -> Act:
        return Act(headers={"X-Telegram-Bot-Api-Secret-Token": _SECRET}, body=body)

    def act(self, *, listed: bool, once: str) -> Act:
        words = f"ack {INCIDENT}"
        ref = self.channel.deliver(notice(MessageKind.CARD))
        assert ref
        self.door.standing["telegram", ref] = INCIDENT
        message_id = int(ref.rpartition(":")[2])
        user = 1001 if listed else _STRANGER
        update = self.fake.presses(message_id, words, user=user, keyboard=(words, f"resolve {INCIDENT}"))
        return self.genuine(json.dumps(update).encode())

    def said_after(self, act: Act) -> str:
        self.channel.receive(act.headers, act.body)
        self.fake.wait(lambda: bool(self.fake.flashes), "an answer to the press")
        return self.fake.flashes[-1].text

    def standing(self) -> list[str]:
        return [posted.text for posted in self.fake.posts.values() if posted.reply_to is None]

    def thread_of(self, ref: str) -> list[str]:
        root = int(ref.rpartition(":")[2])
        return [posted.text for posted in self.fake.posts.values() if posted.reply_to == root]

    def answer_next(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.fake.answer_next(status=status, body=body, headers=headers, path=_POST)

    def fail_next(self, trouble: str) -> None:
        match trouble:
            case "slow_down":
                self.fake.refuse_next(_POST, 429, "Too Many Requests: retry after 7", retry_after=7)
            case "refusal":
                self.fake.refuse_next(_POST, 403, "Forbidden: bot was kicked from the supergroup chat")
            case "failure":
                self.fake.answer_next(status=502, body=b"<html>Bad Gateway</html>", path=_POST)
            case "reset":
                self.fake.answer_next(reset=True, path=_POST)
            case "hang":
                self.fake.answer_next(hang=True, path=_POST)
            case "lost_answer":
                self.fake.answer_next(reset=True, after_effect=True, path=_POST)

    def _listens(self) -> bool:
        """It knows its own name and has told Telegram how it wants to hear."""
        if self._mode == "polling":
            return self.fake.polls > 0
        nothing = self.genuine(b'{"update_id": 1}')
        try:
            self.channel.receive(nothing.headers, nothing.body)
        except Rejected:
            return False  # It is still starting.
        return True


@contextmanager
def open_telegram(patch: pytest.MonkeyPatch) -> Iterator[TelegramBench]:
    with _open(patch, "webhook") as bench:
        yield bench


@contextmanager
def open_telegram_polling(patch: pytest.MonkeyPatch) -> Iterator[TelegramBench]:
    with _open(patch, "polling") as bench:
        yield bench


@contextmanager
def _open(patch: pytest.MonkeyPatch, mode: Mode) -> Iterator[TelegramBench]:
    patch.setattr(TelegramApi._call, "__kwdefaults__", {"within_s": 2.0})
    with FakeTelegram() as fake:
        yield TelegramBench(fake, mode)
