"""The contract of a Kubernetes API: the few things steps ask of a cluster.

Objects are plain JSON mappings, addressed by ``Reference``. ``kube.py`` is the one module that imports the Kubernetes
client; everything above speaks this protocol.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fairway_steps.errors import UsageError

Manifest = Mapping[str, Any]

FIELD_MANAGER = "fairway"
KINDS: Mapping[str, tuple[str, str, str]] = {
    "deployment": ("apps", "v1", "Deployment"),
    "inferenceservice": ("serving.kserve.io", "v1beta1", "InferenceService"),
    "llminferenceservice": ("serving.kserve.io", "v1alpha2", "LLMInferenceService"),
    "revision": ("serving.knative.dev", "v1", "Revision"),
    "ksvc": ("serving.knative.dev", "v1", "Service"),
    "service": ("", "v1", "Service"),
    "configmap": ("", "v1", "ConfigMap"),
    "httproute": ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    "grpcroute": ("gateway.networking.k8s.io", "v1", "GRPCRoute"),
    "virtualservice": ("networking.istio.io", "v1", "VirtualService"),
}
"""Short names of the kinds Fairway knows: (group, version, kind)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object, or with an empty name all objects of a kind in a namespace. The core group is the empty one.

    An object of the whole cluster has an empty namespace.
    """

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

    @classmethod
    def of(cls, kind: str, namespace: str, name: str = "") -> "Reference":
        """An object of one of ``KINDS``."""
        return cls(*KINDS[kind], namespace, name)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        """``HTTPRoute default/iris``, as sentences name it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else f"{self.kind}s in {self.namespace}"


class Cluster(Protocol):
    """What a step may ask of an API server.

    What may go better in a moment (the server is away, overloaded or failing) is a TransientError, after a few tries
    of its own; an object that changed meanwhile is a Conflict; everything else the server refuses is a DomainError.
    """

    namespace: str
    """Where the caller works: its pod's own namespace, or the one of its kubeconfig."""

    def get(self, ref: Reference) -> Manifest | None:
        """The object, or None if there is none."""

    def list(self, ref: Reference, *, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """All objects of the kind in the namespace that carry the labels."""

    def create(self, ref: Reference, manifest: Manifest) -> Manifest:
        """Make an object. Raises Conflict if there is one of its name."""

    def apply(self, ref: Reference, owned: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Server-side apply of the fields we own, under the field manager ``fairway``.

        Raises Conflict if somebody else owns one of them, unless ``force``.
        """

    def patch(self, ref: Reference, patch: Manifest, *, resource_version: str = "", dry_run: bool = False) -> Manifest:
        """A JSON merge patch (RFC 7386). Raises Conflict if ``resource_version`` is given and not the current one."""

    def delete(self, ref: Reference, *, dry_run: bool = False) -> bool:
        """Delete the object, its dependents after it; False if there was none."""

    def watch(
        self, ref: Reference, *, labels: Mapping[str, str] | None = None, timeout: float
    ) -> Iterator[tuple[Manifest, ...]]:
        """All objects that match, now and after each change, for at most ``timeout`` seconds.

        With a name it is that one object: a tuple of one, or an empty one while there is none. Interruptions of the
        server are bridged; only one that lasts to the end is a TransientError.
        """

    def event(self, ref: Reference, reason: str, message: str, *, warning: bool = False) -> None:
        """Attach an Event to the object, as a note for people; never fails the step."""
