"""What the rights of an action are asked for: the target that it names, or that of the run it names.

`cutover 5f5f5f5f` names no store. Without this a right to one store's cutovers could not be given.
"""

from __future__ import annotations

from typing import Any

from bot.chatops.context.lookup import only_match
from bot.core.action import Action
from bot.store import runs
from bot.store.sql import Sql


def target_of(sql: Sql, action: Action[Any], args: object) -> str:
    """Raises `Rejected`: the run that is named does not exist, or its id is not typed far enough."""
    target, run_id = action.target(args), getattr(args, "run", None)
    if target or not isinstance(run_id, str):
        return target
    run = only_match(runs.find_runs(sql, run_id), f"run {run_id}", "`runs` lists the last ones.")
    return runs.plan_of_run(sql, run).plan.target
