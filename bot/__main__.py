"""The command line `vakhta`.

`--help`, `check` and `schema` load no SDK: everything that does is behind `_app`. With faulty settings, every command
prints the same list and exits with 78 (EX_CONFIG), before anything is started.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from bot.app import interpreter
from bot.app.cli.verbs import chat_verbs
from bot.config.faults import InvalidSettings, SettingsFault
from bot.config.secrets import PLAIN_TEXT
from bot.config.settings import Settings, read_settings
from bot.core.errors import Rejected
from bot.core.request import Reply
from bot.lib import logs, quiet_packages, terminal
from bot.lib.redact import redact
from bot.lib.settings_fields import PlugSection

_REFUSED = 1
_BAD_SETTINGS = 78
_INTERRUPTED = 130
_SHELLS = ("bash", "zsh", "fish")

_logger = logging.getLogger("bot")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 refused, 2 usage error, 78 faulty settings. `audit verify` has more."""
    logs.guard()
    quiet_packages.hide_deprecations()
    parser, words = _parser(), list(sys.argv[1:] if argv is None else argv)
    _refuse_early_option(parser, words)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        given.parser.error(given.parser.unknown(unknown))
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except InvalidSettings as faulty:
        for fault in faulty.faults:
            terminal.err(terminal.printable(str(fault)))
        count = len(faulty.faults)
        terminal.err(f"{count} fault{'s' if count > 1 else ''}; nothing was started.")
        return _BAD_SETTINGS
    except Rejected as refusal:
        terminal.err(refusal.message)
        return _REFUSED
    except SystemExit as ended:
        if not isinstance(ended.code, str):
            raise
        terminal.err(ended.code)
        return _REFUSED
    except BrokenPipeError:
        # The reader closed the pipe (`| head`). The command is done; Python must not try to flush stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _REFUSED
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> terminal.Parser:
    """The parser of the whole command line."""
    parser = terminal.Parser(
        prog="vakhta", description="Vakhta takes alerts, notifies people and runs the actions that they approve."
    )
    parser.elsewhere = {verb: f"vakhta ask {verb}" for verb in chat_verbs()}
    parser.add_argument("--version", action="version", version=f"vakhta {version('vakhta')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    where = terminal.Parser(add_help=False)
    where.add_argument(
        "--config",
        metavar="F",
        type=Path,
        default=Path(os.environ.get("VAKHTA_CONFIG", "vakhta.yaml")),
        help="the settings file, YAML (default: $VAKHTA_CONFIG, or vakhta.yaml)",
    )

    def add(name: str, text: str, command: Callable[[argparse.Namespace], int]) -> terminal.Parser:
        sub = commands.add_parser(name, help=text, description=text, parents=[where])
        sub.set_defaults(command=command, parser=sub)
        return sub

    add("run", "Run the bot: take alerts, notify people, handle commands.", _run)
    _add_checks(add("check", "Check the settings: list every fault, or what would start.", _check))
    ask = add("ask", "Run one chat command as the person at this keyboard.", _ask)
    ask.add_argument("words", nargs="+", help="the command, such as: ack 42. `vakhta ask help` lists them")
    add("migrate", "Migrate the database to this version.", _migrate)
    schema = commands.add_parser("schema", help="Write the JSON schema of the settings, for editors.")
    schema.add_argument("to", nargs="?", type=Path, default=Path("deploy/config/vakhta.schema.json"))
    schema.set_defaults(command=_schema, parser=schema)
    _add_disaster(commands, where)
    _add_completion(commands)
    text = "Verify, export and manage the audit log."
    audit = commands.add_parser("audit", help=text, description=text)
    audit.fill = lambda: importlib.import_module("bot.app.cli.audit").add_to(audit, where)
    return parser


def _add_disaster(commands: argparse._SubParsersAction[terminal.Parser], where: terminal.Parser) -> None:
    text = "Write the plan for a disaster."
    disaster = commands.add_parser("dr", help=text, description=text)
    parts = disaster.add_subparsers(metavar="COMMAND", required=True)
    text = "Write it as Markdown, with commands that work while the bot is down."
    export = parts.add_parser("export", help=text, description=text, parents=[where])
    export.add_argument("to", nargs="?", help="a folder, or - for stdout (default: as backups.dr says)")
    export.set_defaults(command=_export_disaster_plan, parser=export)


def _add_completion(commands: argparse._SubParsersAction[terminal.Parser]) -> None:
    text = "Print the script by which a shell completes this command line."
    how = 'For one shell: eval "$(vakhta completion bash)", or: vakhta completion fish | source'
    completion = commands.add_parser("completion", help=text, description=f"{text} {how}")
    completion.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    completion.set_defaults(command=_completion, parser=completion)


def _refuse_early_option(parser: terminal.Parser, words: Sequence[str]) -> None:
    """argparse would take the value of an option before the command for the command."""
    if words and words[0].startswith("--") and not parser.has_option(words[0]):
        flag = words[0].partition("=")[0]
        parser.error(f"{flag} must follow a command, as in: vakhta check --config FILE. Nothing was done.")


def _add_checks(check: argparse.ArgumentParser) -> None:
    """What `check` does instead of saying what would start."""
    instead = check.add_mutually_exclusive_group()
    text = "ask all clusters, or only NAME, what the bot may do there, and print the missing Roles"
    instead.add_argument("--cluster", nargs="?", const="", metavar="NAME", help=text)
    text = "ask the providers whether tokens, channels and addresses work; sends nothing and pages nobody"
    instead.add_argument("--live", action="store_true", help=text)
    text = "show the incident and the messages that this payload of a source would give; - reads it from stdin"
    instead.add_argument("--payload", type=Path, metavar="FILE", help=text)
    text = "the source that the payload of --payload comes from (default: %(default)s)"
    check.add_argument("--source", default="alertmanager", metavar="NAME", help=text)


def _run(given: argparse.Namespace) -> int:
    interpreter.set_up()
    settings, warnings = read_settings(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    for warning in warnings:
        if not (settings.local_operator and warning.message == PLAIN_TEXT):
            _logger.warning("%s", warning)
    _app().run(settings)
    return 0


def _check(given: argparse.Namespace) -> int:
    settings, warnings = read_settings(given.config, os.environ, files_too=True, now=datetime.now(UTC))
    _print_warnings(warnings)
    if given.live:
        asked = importlib.import_module("bot.app.cli.live_check").check(settings)
        terminal.out("\n".join(map(terminal.printable, asked.lines)))
        return 0 if asked.whole else _BAD_SETTINGS
    if given.cluster is not None:
        report = importlib.import_module("bot.app.cli.cluster_check").check(settings, given.cluster)
        terminal.out(report.text)
        return 0 if report.whole else _REFUSED
    if given.payload is not None:
        preview = importlib.import_module("bot.app.cli.payload_preview").preview
        terminal.out(terminal.shown(preview(settings, given.source, _read_payload(given.payload))))
        return 0
    terminal.out(f"{given.config} has no fault. `vakhta run` would start:")
    for part, text in _starts(settings):
        terminal.out(f"  {part:<9} {terminal.printable(text)}")
    return 0


def _read_payload(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise Rejected(f"{path} cannot be read: {error.strerror}. Nothing was shown.") from None


def _ask(given: argparse.Namespace) -> int:
    with interpreter.loading():
        settings, _ = read_settings(given.config, os.environ)
        logs.start(confidential=settings.confidential)
        ask = importlib.import_module("bot.app.cli.ask").ask
    reply: Reply = ask(settings, " ".join(given.words), given.config)
    terminal.out(reply.text)
    return 0 if reply.ok else _REFUSED


def _migrate(given: argparse.Namespace) -> int:
    settings, _ = read_settings(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    _app().migrate(settings)
    return 0


def _export_disaster_plan(given: argparse.Namespace) -> int:
    settings, _ = read_settings(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    export = importlib.import_module("bot.app.cli.disaster_export").export
    terminal.out(export(settings, given.config, given.to))
    return 0


def _completion(given: argparse.Namespace) -> int:
    terminal.out(importlib.import_module("bot.app.cli.completion").script(_parser(), given.shell), end="")
    return 0


def _schema(given: argparse.Namespace) -> int:
    try:
        given.to.write_text(written_schema(), encoding="utf-8")
    except OSError as error:
        terminal.err(f"{given.to} was not written: {error.strerror}")
        return _REFUSED
    terminal.out(f"{given.to} written.")
    return 0


def written_schema() -> str:
    """The JSON schema of the settings, as kept in deploy/config."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def _app() -> ModuleType:
    """The composition root with all SDKs, loaded only by the commands that need it."""
    return importlib.import_module("bot.app.bot")


def _print_warnings(warnings: Sequence[SettingsFault]) -> None:
    for warning in warnings:
        terminal.err(terminal.printable(f"warning: {warning}"))


def _starts(settings: Settings) -> list[tuple[str, str]]:
    """What would start: (part, names), one per line. Holds no secret."""
    nobody = "none; the person at this machine is the operator `local`" if settings.local_operator else "none"
    return [
        ("server", f"{settings.server.public_url} (listening on {settings.server.listen})"),
        ("store", redact(settings.store.url.get_secret_value())),
        ("sources", _named(settings.sources.on()) or "none; nobody can send alerts"),
        ("channels", _named(settings.channels.on()) or "none; nobody will be notified"),
        ("people", str(len(settings.people)) if settings.people else nobody),
    ]


def _named(plugs: Mapping[str, PlugSection]) -> str:
    return ", ".join(f"{name} ({one.summary})" if one.summary else name for name, one in plugs.items())


if __name__ == "__main__":
    sys.exit(main())
