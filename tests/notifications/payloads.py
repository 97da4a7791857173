"""Real payloads by name, written anew. A table of what a channel makes of them stands with that channel's tests."""

from __future__ import annotations

from collections.abc import Mapping

from tests.notifications.payload import Payload
from tests.notifications.payloads_kube_prometheus import KUBE_PROMETHEUS
from tests.notifications.payloads_of_others import OTHERS

PAYLOADS: Mapping[str, Payload] = {**KUBE_PROMETHEUS, **OTHERS}
