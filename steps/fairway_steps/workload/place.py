"""Where a version is in a cluster: what its URI says.

``deployment/NAMESPACE/NAME?service=SERVICE&port=PORT`` and its like. A route points at the Service; what the URI leaves
out is looked up once, when the release begins (``lookup``), so that nothing has to be found when something is on fire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from fairway_steps.cluster import KINDS, Reference
from fairway_steps.errors import UsageError
from fairway_steps.model import Version

OPTIONS = ("service", "port", "ready", "url", "subset", "vmodel")


@dataclass(frozen=True, slots=True)
class Place:
    """One version in a cluster.

    ``ref`` is what is deployed, ``service`` and ``port`` what a route points at (empty and 0: not looked up yet),
    ``conditions`` the types of the status conditions that must be true for any kind that Fairway does not know,
    ``url`` where a first inference goes instead of the ready endpoints. Versions that share a Service are told apart by the
    ``subset`` of an Istio DestinationRule, or as ``vmodel`` of a ModelMesh (its header mm-vmodel-id).
    """

    ref: Reference
    service: str = ""
    port: int = 0
    conditions: tuple[str, ...] = ()
    url: str = ""
    subset: str = ""
    vmodel: str = ""

    @property
    def complete(self) -> bool:
        return bool(self.service and self.port)

    @property
    def deployment(self) -> Reference | None:
        """The Deployment that runs it, where its name is known without asking; KServe has one in mode Standard."""
        after = {("apps", "Deployment"): "", ("serving.kserve.io", "InferenceService"): "-predictor"}
        suffix = after.get((self.ref.group, self.ref.kind))
        return None if suffix is None else Reference.of("deployment", self.ref.namespace, f"{self.ref.name}{suffix}")

    @property
    def backend(self) -> Reference:
        """The Service."""
        return Reference.of("service", self.ref.namespace, self.service)


def is_placed(version: Version) -> bool:
    """Whether a version is in a cluster: anything but a URL."""
    return not version.uri.startswith(("http:", "https:"))


def is_found(version: Version) -> bool:
    """Whether a version in a cluster has been looked up: its URI says its Service and port."""
    return is_placed(version) and "/" in version.uri and place(version).complete


def place(version: Version) -> Place:
    """What a version's URI says. Raises UsageError for one that is no reference to a cluster object."""
    path, _, query = version.uri.partition("?")
    options = parse_qs(query, keep_blank_values=True)
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise UsageError(f"version {version.uri} has no option {unknown[0]!r}", mend=f"there are {', '.join(OPTIONS)}")
    ref, given = Reference.parse(path), {name: values[-1] for name, values in options.items()}
    port = given.get("port", "0")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"version {version.uri}: port {port!r} is not a number of a port")
    return Place(
        ref=ref,
        service=given.get("service", ref.name if ref.kind == "Service" and not ref.group else ""),
        port=int(port),
        conditions=tuple(filter(None, given.get("ready", "").split(","))),
        url=given.get("url", ""),
        subset=given.get("subset", ""),
        vmodel=given.get("vmodel", ""),
    )


def written(version: Version, at: Place) -> Version:
    """The version with all that is known of its place in its URI."""
    known = {"service": at.service, "port": str(at.port or ""), "ready": ",".join(at.conditions), "url": at.url}
    known |= {"subset": at.subset, "vmodel": at.vmodel}
    options = urlencode({name: value for name, value in known.items() if value}, safe="/:,")
    return replace(version, uri=_path(at.ref) + (f"?{options}" if options else ""))


def backends(versions: Mapping[str, Version], *, shared: bool = False) -> dict[str, Place]:
    """The places of versions that a route of a cluster can point at. Raises UsageError for any other.

    Where the route can tell them apart, versions may have a ``shared`` Service.
    """
    found: dict[str, Place] = {}
    for name, version in versions.items():
        if not is_placed(version):
            raise UsageError(
                f"version {name}={version.uri} is a URL: a route of a cluster points at Services",
                mend="write deployment/NAMESPACE/NAME, inferenceservice/NAMESPACE/NAME or service/NAMESPACE/NAME",
            )
        at = place(version)
        if not at.complete:
            raise UsageError(f"version {version.uri} does not say its Service", mend="add ?service=NAME&port=PORT")
        if twin := next((other for other, its in found.items() if _same(its, at, shared=shared)), ""):
            raise UsageError(
                f"{twin} and {name} share the Service {at.service}: a route cannot tell them apart",
                mend="give each version a Service of its own" + (", or its ?subset=NAME" if shared else ""),
            )
        found[name] = at
    return found


def _same(one: Place, other: Place, *, shared: bool) -> bool:
    apart = shared and (one.subset, one.vmodel) != (other.subset, other.vmodel)
    return one.backend == other.backend and not apart


def _path(ref: Reference) -> str:
    short = next((name for name, kind in KINDS.items() if kind == (ref.group, ref.version, ref.kind)), "")
    return f"{short or f'{ref.group}/{ref.version}/{ref.kind}'}/{ref.namespace}/{ref.name}"
