"""What others do with the capacity of a version that has no traffic for a while, and may need it again at once.

Knative scales a revision to zero unless it keeps a minimum, which counts only while its Service's traffic names it, if only by a tag
(https://github.com/knative/serving/blob/main/pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go, ``ScaleBounds``). A HorizontalPodAutoscaler
(KEDA makes one, too) shrinks what idles to its ``minReplicas``, and KEDA itself on to zero where its ScaledObject does not keep a minimum
(https://keda.sh/docs/2.18/reference/scaledobject-spec/, ``minReplicaCount`` and ``idleReplicaCount``). Neither is changed here: a revision's minimum cannot be, and an
autoscaler is its owner's, whose tools would fight for it; a run that is killed would leave it changed.
"""

import logging

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import FairwayError
from fairway_steps.model import Version
from fairway_steps.workload.place import Place, is_placed, place

LOG = logging.getLogger(__name__)
AUTOSCALERS = ("autoscaling", "v2", "HorizontalPodAutoscaler")
SCALED_OBJECTS = ("keda.sh", "v1alpha1", "ScaledObject")
MINIMUM = ("autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/minScale")
OWNER = "serving.knative.dev/service"
KSERVES = "serving.kserve.io/inferenceservice"


def shrinks(cluster: Cluster, version: Version) -> str:
    """How the version's capacity shrinks while it has no traffic, and how to keep it; empty if it does not, or that is not to be seen."""
    if not is_placed(version):
        return ""
    at = place(version)
    try:
        return _revision(cluster, at) if at.ref.kind == "Revision" else _autoscaled(cluster, at, version.name)
    except FairwayError as error:
        LOG.debug("what scales %s is not for us to see: %s", at.ref, error)
        return ""


def _revision(cluster: Cluster, at: Place) -> str:
    metadata = (cluster.get(at.ref) or {}).get("metadata") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    said = f"Knative scales {at.ref} to zero while it has no share, and the way back waits for it to start"
    if KSERVES in labels:
        return f"{said}: to keep it up, release two InferenceServices of mode Standard behind a route of your own"
    owner = cluster.get(Reference.of("ksvc", at.ref.namespace, labels[OWNER])) if OWNER in labels else None
    traffic = ((owner or {}).get("spec") or {}).get("traffic") or ()
    tagged = any(one.get("tag") and one.get("revisionName") == at.ref.name for one in traffic)
    if tagged and any(notes.get(name, "0") not in ("", "0") for name in MINIMUM):
        return ""
    return f"{said}: to keep it up, give it a tag in spec.traffic, and its template {MINIMUM[0]} before it is made"


def _autoscaled(cluster: Cluster, at: Place, name: str) -> str:
    scaled = {at.ref.name, f"{at.ref.name}-predictor"}
    for one in cluster.list(Reference(*AUTOSCALERS, at.ref.namespace)):
        spec, now = one["spec"], int((one.get("status") or {}).get("currentReplicas", 0))
        keda = _scaled_object(one)
        who, least, field = _kedas(cluster, keda) if keda else _horizontal(one)
        if spec["scaleTargetRef"]["name"] in scaled and now > least:
            back = "has no more at first" if least else "first scales it up and waits for it to start"
            return (
                f"{who} may shrink {name} from {now} to {least} replicas while it has no traffic, and the way back {back}: "
                f"to keep it up, set {field} to {now} for the release"
            )
    return ""


def _horizontal(found: Manifest) -> tuple[str, int, str]:
    metadata = found["metadata"]
    return (
        f"HorizontalPodAutoscaler {metadata['namespace']}/{metadata['name']}",
        int(found["spec"].get("minReplicas", 1)),
        "minReplicas",
    )


def _scaled_object(found: Manifest) -> Reference | None:
    """The ScaledObject that made an autoscaler."""
    owners = found["metadata"].get("ownerReferences") or ()
    name = next((owner["name"] for owner in owners if owner["kind"] == "ScaledObject"), "")
    return Reference(*SCALED_OBJECTS, found["metadata"]["namespace"], name) if name else None


def _kedas(cluster: Cluster, ref: Reference) -> tuple[str, int, str]:
    """The same of KEDA; one that is not for us to see has KEDA's default, which is zero."""
    try:
        spec = (cluster.get(ref) or {}).get("spec") or {}
    except FairwayError as error:
        LOG.debug("%s is not for us to see: %s", ref, error)
        spec = {}
    least, idle = int(spec.get("minReplicaCount", 0)), spec.get("idleReplicaCount")
    return (
        str(ref),
        least if idle is None else min(least, int(idle)),
        "minReplicaCount" if idle is None else "idleReplicaCount",
    )
