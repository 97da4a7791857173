"""Fails where `except Exception` stands outside the named edges of the paths, or a bare `except:` anywhere."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

#: The edges: whatever happens in there must not end the path, and is logged once.
EDGES = {
    "bot/alerts/answer_deadline.py",
    "bot/alerts/intake.py",
    "bot/notifications/sender.py",
    "bot/chatops/live_answers.py",
    "bot/actions/runner.py",
    "bot/chatops/next_steps.py",
    "bot/app/scheduler.py",
    "bot/actions/run_callbacks.py",
    "bot/backups/broken_engine.py",  # between the bot and the code of engines and their SDKs
    "bot/audit/publishers.py",
    "bot/web/alerts.py",
    "bot/web/incidents_api.py",
    "bot/web/board.py",
    "bot/web/event_stream.py",
    "bot/web/health.py",
    "bot/web/channel_webhooks.py",
    "bot/web/metrics.py",
    "bot/web/server.py",
}
BROAD = {"Exception", "BaseException"}


def broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything, and keeps it.

    What is raised again at the end, or given to whoever waits for a Future, is only passed on.
    """
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        called = last.value.func
        if isinstance(called, ast.Attribute) and called.attr == "set_exception":
            return False
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in BROAD for one in caught)


def main() -> int:
    found = [
        f"{path}:{node.lineno}: catches everything, and is no edge of a path"
        for folder in ("bot", "commands", "runbooks")
        for path in sorted(Path(folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and broad(node) and str(path) not in EDGES
    ]
    print("\n".join(found) or "no broad except outside the edges")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
