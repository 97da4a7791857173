"""help: the commands by topic, one line each; one topic with usages; or one command with examples.

A command that this installation cannot do, or that the asker could never use, is not listed: at three in the morning
each line is one to read. The whole list stays within a message of any chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText
from bot.chatops.tokens import nearest, shorten
from bot.core.command import NO_SUCH_VERB, CommandContext, ListedVerb, VerbHelp
from bot.core.errors import Rejected
from bot.core.manual import TOPIC_WORDS, Manual, Topic
from bot.core.request import Reply, Request

_LONGEST = 100
_HINT = "`help {verb}` explains a command, `help {topic}` lists a topic."


@dataclass(frozen=True, kw_only=True)
class HelpArgs:
    about: Annotated[str | None, FreeText(max_length=_LONGEST, placeholder="topic|command")] = None


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("help", "help incidents", "help ack"),
    details="It lists what this bot can do and you may use.",
)


@dataclass(frozen=True)
class HelpCommand:
    verb: str = "help"
    usage: str = "help [<topic|command>]"
    summary: str = "list the commands, or explain one"
    manual: Manual = _MANUAL
    args: type[HelpArgs] = HelpArgs
    read_only: bool = True

    def run(self, request: Request, args: HelpArgs, context: CommandContext) -> Reply:
        if args.about is None:
            return Reply(text="\n".join(_overview(context.help.list_verbs())))
        word = _plain(args.about)
        try:
            return Reply(text=_about(word, context))
        except Rejected as refused:
            if refused.code != NO_SUCH_VERB:
                raise
            near = _nearest(word, context)
            if near is None:
                raise Rejected(f"{refused.message} Usage: {self.usage}", code=refused.code) from None
        return Reply(text=f"Nothing is called {shorten(args.about)}. The nearest is `{near}`:\n{_about(near, context)}")


def _about(word: str, context: CommandContext) -> str:
    """A topic by its own word, a verb, or a topic by another word, in that order. Raises `Rejected` for any other."""
    topic = TOPIC_WORDS.get(word)
    if topic is not None and (word == topic or not _is_verb(word, context)):
        return _topic(topic, context)
    return "\n".join(_explain(context.help.describe(word.replace(" ", "-"))))


def _plain(about: str) -> str:
    """As it was meant: a phone begins a line with a capital, and a chat's commands begin with a slash."""
    return " ".join(about.strip("`'\"?. ").removeprefix("/").lower().split())


def _is_verb(word: str, context: CommandContext) -> bool:
    return any(one.verb == word for one in context.help.list_verbs())


def _nearest(word: str, context: CommandContext) -> str | None:
    return nearest(word, [*(one.verb for one in context.help.list_verbs()), *Topic])


def _overview(verbs: Sequence[ListedVerb]) -> Iterator[str]:
    shown = next((one for one in verbs if one.verb == "ack"), verbs[0])
    yield _HINT.format(verb=shown.verb, topic=shown.manual.topic)
    for topic in Topic:
        listed = [one for one in verbs if one.manual.topic is topic]
        if listed:
            yield ""
            yield topic.heading.upper()
        yield from (f"{one.verb}: {one.summary}" for one in listed)


def _topic(topic: Topic, context: CommandContext) -> str:
    listed = context.help.list_verbs(topic)
    if not listed:
        raise Rejected(f"You may use no command about {topic}. Nothing was done. `help` lists those that you may.")
    lines = (f"`{one.usage}`: {one.summary}" for one in listed)
    return "\n".join((topic.heading.upper(), *lines, f"`help {listed[0].verb}` says more, with examples."))


def _explain(one: VerbHelp) -> Iterator[str]:
    yield f"{one.verb}: {one.summary}. {one.details}".strip()
    yield f"Usage: `{one.usage}`"
    yield "Examples:" if len(one.examples) > 1 else "Example:"
    yield from (f"`{example}`" for example in one.examples)
    if one.approval:
        yield f"Approval: {one.approval}"
    if one.way_back:
        yield f"Undo: {one.way_back}"
    if one.limits:
        yield f"Limits: {'; '.join(one.limits)}"


command = HelpCommand()
