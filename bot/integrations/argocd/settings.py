"""The settings' section about the Argo CD of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator

from bot.lib.settings_fields import Address, Mistake, Secret, Section, namespace_mistake, path_mistake


class ArgoCdSettings(Section):
    """The Argo CD that deploys to a cluster."""

    url: Address | None = Field(
        None, description="Its address; without it applications are read from the cluster, and none can be rolled back."
    )
    token: Secret | None = Field(None, description="Token of an Argo CD account for the bot.")
    namespace: str = Field("argocd", min_length=1, description="The namespace in which Argo CD runs.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.url is None) != (self.token is None):
            raise ValueError("url and token go together")
        return self

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from path_mistake(given, "url", "/api/v1", "/applications", "/login")
        yield from namespace_mistake(given, "namespace")
