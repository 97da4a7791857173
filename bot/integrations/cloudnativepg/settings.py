"""The settings' section about a cluster of CloudNativePG: which, how its copies are read, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from bot.integrations.postgres.settings import ServerAddress
from bot.lib.settings_fields import Mistake, Section, namespace_mistake, text_of

#: CloudNativePG allows 50 characters; "-restore-" and eight digits of the run follow the name.
_LONGEST = 33


class CloudNativePgSettings(Section):
    """One cluster of CloudNativePG."""

    cluster: str = Field(min_length=1, description="The Kubernetes cluster, by its name under clusters.")
    namespace: str = Field(min_length=1, description="The namespace of the PostgreSQL cluster; copies are made there.")
    name: str = Field(min_length=1, max_length=_LONGEST, description="The name of the Cluster object.")
    url: ServerAddress | None = Field(
        None,
        description="How a database is reached, with {name} for its cluster: postgresql://bot:PW@{name}-rw.shop.svc/app."
        " Without it no copy can be read, and no drill is made.",
    )
    storage_class: str | None = Field(None, min_length=1, description="Storage class of copies, if not the original's.")
    egress_ports: tuple[int, ...] = Field(
        (53, 443, 6443),
        description="Ports that a copy may connect to: names, the Kubernetes API, the object storage. Never 5432.",
    )
    operator_namespace: str = Field("cnpg-system", min_length=1, description="The namespace of the operator.")
    bot_namespace: str | None = Field(
        None, min_length=1, description="The namespace from which the bot reads copies, if it runs in that cluster."
    )
    probe_image: str = Field("busybox:1.37", min_length=1, description="An image with nc, which tries the isolation.")

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.namespace}/{self.name} in cluster {self.cluster}"

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        for key in ("namespace", "operator_namespace", "bot_namespace"):
            yield from namespace_mistake(given, key)
        url = text_of(given, "url")
        if url and "{name}" not in url:
            yield ("url",), "must have {name} in its host, which stands for the live cluster and for each copy"
        ports = given.get("egress_ports")
        if isinstance(ports, list) and 5432 in ports:  # noqa: PLR2004 (PostgreSQL's port)
            yield ("egress_ports",), "must not have 5432: a copy could connect to other databases"
