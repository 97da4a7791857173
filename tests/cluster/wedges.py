"""Events right before or after a write: somebody else is faster, the answer is lost, the process dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.integrations.kubernetes.client import KubernetesClient
from tests.cluster.world import World


class Died(BaseException):
    """The process ends here."""


class Wedged(KubernetesClient):
    """The world's cluster, and something else around its first patch. Counts what it was asked to write."""

    def __init__(
        self,
        world: World,
        *,
        before: Callable[[], object] | None = None,
        after: BaseException | None = None,
        then: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(world.bot.name, world.bot._section)
        self._before = before
        self._after = after
        self._then = then
        self.patched = 0
        self.deleted: list[str] = []

    def patch(self, ref: ObjectRef, patch: object, **more: Any) -> KubernetesObject:
        self.patched += 1
        before, self._before = self._before, None
        if before is not None:
            before()
        told = super().patch(ref, patch, **more)
        then, self._then = self._then, None
        if then is not None:
            then()
        after, self._after = self._after, None
        if after is not None:
            raise after
        return told

    def delete(self, ref: ObjectRef, *, uid: str) -> None:
        self.deleted.append(ref.name)
        super().delete(ref, uid=uid)
