"""`vakhta check --live`: asks every provider that the settings name, all at once, and prints one line for each answer.

It only reads: nothing is sent to a chat, nobody is paged, the database is not opened. No line holds a secret.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module

from bot.config.settings import Settings
from bot.core.backup import BackupStore
from bot.core.live_check import LiveAnswer, LiveVerdict, no_answer, not_asked
from bot.integrations import load_live_check
from bot.lib.logs import Redactor
from bot.lib.settings_fields import Section

#: Seconds for all questions together; each has a shorter limit of its own.
LIMIT_S = 30.0
_MOST_AT_ONCE = 32
_GOOD = (LiveVerdict.OK, LiveVerdict.NOT_ASKED)
_S3 = "the bot may only put objects there, so the bucket cannot be asked; see vakhta_audit_anchor_failures_total"
_SNS = "SNS signs what it sends, and nobody has to be asked; it confirms the subscription when the bot runs"


@dataclass(frozen=True, kw_only=True)
class LiveReport:
    """The lines to print; `whole`: every question that was asked has a good answer."""

    lines: Sequence[str]
    whole: bool


def check(settings: Settings, *, within_s: float = LIMIT_S) -> LiveReport:
    """Ask everything. A question without an answer by then counts as unanswered."""
    logging.disable(logging.CRITICAL)  # Each failure is in its line.
    try:
        with warnings.catch_warnings(action="ignore"):  # The SDKs' own, such as that a package is deprecated.
            questions = dict(_questions(settings))
        answers = _asked(questions, within_s) if questions else {}
    finally:
        logging.disable(logging.NOTSET)
    scrub = Redactor(settings.confidential)
    width = max(map(len, questions), default=0)
    lines = [f"{key:<{width}}  {one.verdict:<9}  {scrub(one.text)}" for key, one in answers.items()]
    return LiveReport(lines=[*lines, _summed_up(answers)], whole=all(one.verdict in _GOOD for one in answers.values()))


def _questions(settings: Settings) -> Iterator[tuple[str, Callable[[], LiveAnswer]]]:
    """Every question, by the whole settings key that it is about."""
    for place, section in _sections(settings, ""):
        live = load_live_check(type(section))
        for question in live.questions(section, place) if live else ():
            yield f"{place}.{question.key}", question.ask
    yield from _of_services(settings)
    yield from _of_stores(settings)
    if settings.sources.sns is not None and settings.sources.sns.on:
        yield "sources.sns.topics", partial(not_asked, _SNS)
    if settings.audit.anchors.s3 is not None:
        yield "audit.anchors.s3.bucket", partial(not_asked, _S3)


def _sections(section: Section, place: str) -> Iterator[tuple[str, Section]]:
    """Every section within, with its place, such as "channels.slack"."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        here = f"{place}.{key}".lstrip(".")
        inner: Mapping[str, object] = {here: value}
        if isinstance(value, Mapping):
            inner = {f"{here}.{name}": one for name, one in value.items()}
        elif isinstance(value, tuple):
            inner = {f"{here}[{number}]": one for number, one in enumerate(value)}
        for where, one in inner.items():
            if isinstance(one, Section):
                yield where, one
                yield from _sections(one, where)


def _of_services(settings: Settings) -> Iterator[tuple[str, Callable[[], LiveAnswer]]]:
    """Whether Prometheus can evaluate the services' expressions."""
    if settings.metrics is None:
        return
    ask = import_module("bot.integrations.prometheus.live_check").ask_expression
    for number, service in enumerate(settings.services):
        expressions = {"check": service.check, "headroom.query": service.headroom and service.headroom.query}
        for key, expression in expressions.items():
            if expression:
                good = f"Prometheus can evaluate it ({service.name})"
                yield f"services[{number}].{key}", partial(ask, settings.metrics, expression, good)


def _of_stores(settings: Settings) -> Iterator[tuple[str, Callable[[], LiveAnswer]]]:
    """Whether each store of backups can be read, and anything in it be restored."""
    if not settings.backups.stores:
        return
    build = import_module("bot.app.build_backups").build_stores
    ask = import_module("bot.backups.live_answer").ask_store
    stores = build(settings, _now)
    for number, section in enumerate(settings.backups.stores):
        yield f"backups.stores[{number}]", partial(_ask_store, ask, stores, section.name)


def _ask_store(
    ask: Callable[[BackupStore, datetime], LiveAnswer], stores: Mapping[str, BackupStore], name: str
) -> LiveAnswer:
    """Its engine is made on the thread that asks."""
    answer = ask(stores[name], _now())
    return replace(answer, text=f"{name}: {answer.text}")


def _now() -> datetime:
    return datetime.now(UTC)


def _asked(questions: Mapping[str, Callable[[], LiveAnswer]], within_s: float) -> Mapping[str, LiveAnswer]:
    pool = ThreadPoolExecutor(min(len(questions), _MOST_AT_ONCE), "live-check")
    promised = {key: pool.submit(ask) for key, ask in questions.items()}
    wait(promised.values(), within_s)
    pool.shutdown(wait=False, cancel_futures=True)
    return {key: _answer(one, within_s) for key, one in promised.items()}


def _answer(promised: Future[LiveAnswer], within_s: float) -> LiveAnswer:
    if not promised.done() or promised.cancelled():
        return no_answer(f"No answer within {within_s:g} s.")
    return promised.result()


def _summed_up(answers: Mapping[str, LiveAnswer]) -> str:
    if not answers:
        return "The settings name no provider; there is nobody to ask."
    count = {verdict: sum(one.verdict is verdict for one in answers.values()) for verdict in LiveVerdict}
    return ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number) + "."
