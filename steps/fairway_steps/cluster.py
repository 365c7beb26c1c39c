"""The contract of a Kubernetes API: the seven things steps ask of a cluster.

Objects are plain JSON mappings, addressed by ``Reference``. This is the one module that may import the Kubernetes
client; everything above it speaks this protocol.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fairway_steps.errors import UsageError

Manifest = Mapping[str, Any]

KINDS: Mapping[str, tuple[str, str, str]] = {
    "deployment": ("apps", "v1", "Deployment"),
    "inferenceservice": ("serving.kserve.io", "v1beta1", "InferenceService"),
    "ksvc": ("serving.knative.dev", "v1", "Service"),
    "httproute": ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    "grpcroute": ("gateway.networking.k8s.io", "v1", "GRPCRoute"),
    "virtualservice": ("networking.istio.io", "v1", "VirtualService"),
}
"""Short names of the kinds Fairway knows: (group, version, kind)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object, or with an empty name all objects of a kind in a namespace."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str = ""

    @classmethod
    def parse(cls, uri: str) -> "Reference":
        """``deployment/NAMESPACE/NAME`` and its like, or ``GROUP/VERSION/KIND/NAMESPACE/NAME`` for any kind."""
        parts = uri.split("/")
        if len(parts) == 3 and parts[0] in KINDS and all(parts):
            return cls(*KINDS[parts[0]], parts[1], parts[2])
        if len(parts) == 5 and all(parts[1:]):
            return cls(*parts)
        raise UsageError(
            f"{uri!r} is not a reference to a cluster object",
            mend=f"write KIND/NAMESPACE/NAME with a kind of {', '.join(KINDS)}, or GROUP/VERSION/KIND/NAMESPACE/NAME",
        )


class Cluster(Protocol):
    """What a step may ask of an API server. Server errors worth a retry are TransientError, others DomainError."""

    def get(self, ref: Reference) -> Manifest | None:
        """The object, or None if there is none."""

    def list(self, ref: Reference, *, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """All objects of the kind in the namespace that carry the labels."""

    def apply(self, ref: Reference, owned: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Server-side apply of the fields we own, under the field manager ``fairway``."""

    def patch(self, ref: Reference, patch: Manifest, *, resource_version: str = "", dry_run: bool = False) -> Manifest:
        """A JSON merge patch, refused by the server if ``resource_version`` is not the current one."""

    def delete(self, ref: Reference, *, dry_run: bool = False) -> bool:
        """Delete the object; False if there was none."""

    def watch(self, ref: Reference, *, timeout: float) -> Iterator[Manifest]:
        """The object's states from now on, the present one first, for at most ``timeout`` seconds."""

    def event(self, ref: Reference, reason: str, message: str, *, warning: bool = False) -> None:
        """Attach an Event to the object, as a note for people; never fails the step."""
