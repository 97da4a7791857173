"""The calls of `core.backup.CutoverEngine`, handed on to the part of an engine that swaps."""

from __future__ import annotations

from typing import Protocol

from bot.core.backup import CutoverPreview, CutoverStatus, Report, RestoreTask


class CutoverPart(Protocol):
    """Puts a copy in the place of the live one and back, as `core.backup.CutoverEngine` says of each call."""

    def preview(self, task: RestoreTask) -> CutoverPreview: ...
    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None: ...
    def look(self, task: RestoreTask, cutover_run: str) -> CutoverStatus: ...
    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str: ...
    def undo(self, task: RestoreTask, cutover_run: str, report: Report) -> None: ...
    def remove_old(self, task: RestoreTask, cutover_run: str) -> None: ...


class CutsOver:
    """An engine that sets `_cutover` has the cutover's part of `core.backup.CutoverEngine`."""

    _cutover: CutoverPart

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        return self._cutover.preview(task)

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        self._cutover.cut_over(task, cutover_run, report)

    def look_cutover(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        return self._cutover.look(task, cutover_run)

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        return self._cutover.undo_refusal(task, cutover_run)

    def undo_cutover(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        self._cutover.undo(task, cutover_run, report)

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        self._cutover.remove_old(task, cutover_run)
