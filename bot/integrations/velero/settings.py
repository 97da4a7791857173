"""The settings' section about namespaces that Velero backs up: which, by which schedule, and how a copy is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from pydantic import Field

from bot.lib.settings_fields import Mistake, Section, namespace_mistake, text_of, texts_of

#: What follows the name of a namespace in that of its copy: "-restore-" and eight digits of the run.
_SUFFIX = 17
_LONGEST = 63


class VeleroSettings(Section):
    """Namespaces of one cluster that Velero backs up."""

    cluster: str = Field(min_length=1, description="The cluster, by its name under clusters.")
    namespace: str = Field("velero", min_length=1, description="The namespace in which Velero runs.")
    schedule: str | None = Field(
        None, min_length=1, description="The Schedule whose backups these are; without it, labels chooses them."
    )
    labels: str | None = Field(
        None,
        min_length=1,
        description="A label selector of the backups, such as team=shop, in the place of a schedule.",
    )
    included: tuple[str, ...] = Field(min_length=1, description="The namespaces that belong to this store.")
    empty_volumes: tuple[str, ...] = Field(
        (), description="Volumes that may be empty, as NAMESPACE/CLAIM. A backup of any other without bytes is refused."
    )
    also_restored: tuple[str, ...] = Field(
        (),
        description="Kinds that a copy gets beside workloads, volumes, configuration and services, as PLURAL.GROUP.",
    )
    storage_classes: Mapping[str, str] = Field(
        default_factory=dict, description="Storage classes of a copy, by those of the original: {gp3: cheap}."
    )
    namespace_labels: Mapping[str, str] = Field(
        default_factory=dict, description="Labels that the namespaces of copies get, such as those of Pod Security."
    )
    probe_image: str = Field(
        "busybox:1.37",
        min_length=1,
        description="An image with nc and grep, which tries the isolation of a copy and reads its volumes.",
    )
    probe_target: str | None = Field(
        None, description="IP:PORT that a drill must not reach; without it, a Service of the live namespaces."
    )

    @property
    def place(self) -> str:
        """For people."""
        return f"{', '.join(self.included)} in cluster {self.cluster}"

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from namespace_mistake(given, "namespace")
        for place, name in texts_of(given, "included"):
            if not _fits(name):
                yield place, f"must be the name of a namespace, of at most {_LONGEST - _SUFFIX} characters"
        for place, name in texts_of(given, "empty_volumes"):
            if name.count("/") != 1 or not all(name.split("/")):
                yield place, "must be NAMESPACE/CLAIM"
        if bool(text_of(given, "schedule")) == bool(text_of(given, "labels")):
            yield ("schedule",), "say either schedule or labels, so that it is known whose backups are meant"
        if (target := text_of(given, "probe_target")) and not _is_address(target):
            yield ("probe_target",), "must be IP:PORT; a name would fail in an isolated copy for want of DNS alone"


def _is_address(target: str) -> bool:
    host, _, port = target.rpartition(":")
    try:
        return bool(ip_address(host.strip("[]"))) and port.isdecimal()
    except ValueError:
        return False


def _fits(name: str) -> bool:
    return len(name) <= _LONGEST - _SUFFIX and not list(namespace_mistake({"name": name}, "name"))
