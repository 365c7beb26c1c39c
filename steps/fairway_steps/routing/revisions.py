"""Knative revisions as versions: ``revision/NAMESPACE/NAME``. A revision that is ready answers, scaled to zero or not.

https://knative.dev/docs/serving/revisions/
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fairway_steps.cluster import Cluster, Manifest
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.workload.place import Place, is_placed, place


def places(versions: Mapping[str, Version], namespace: str) -> dict[str, Place]:
    """The places of versions that are revisions in ``namespace``. Raises UsageError for any other."""
    found: dict[str, Place] = {}
    for name, version in versions.items():
        at = place(version) if is_placed(version) else None
        if at is None or at.ref.kind != "Revision" or at.ref.namespace != namespace:
            raise UsageError(
                f"version {name}={version.uri} is no revision in namespace {namespace}, and only those can be split here",
                mend=f"write revision/{namespace}/NAME",
            )
        found[name] = at
    return found


def not_ready(cluster: Cluster, places: Mapping[str, Place], names: Iterable[str]) -> list[str]:
    """Those of the versions whose revision is not ready."""
    return [name for name in sorted(names) if not _is_ready(cluster.get(places[name].ref))]


def shares(traffic: Iterable[Mapping[str, Any]], latest: str) -> dict[str, int]:
    """Percents by revision of a ``traffic`` block, in its spec or its status; ``latest`` is what follows the latest one."""
    found: dict[str, int] = {}
    for target in traffic:
        name = latest if target.get("latestRevision") else str(target.get("revisionName", ""))
        if percent := int(target.get("percent") or 0):
            found[name] = found.get(name, 0) + percent
    return found


def _is_ready(found: Manifest | None) -> bool:
    if found is None or found["metadata"].get("deletionTimestamp"):
        return False
    told = {one["type"]: one["status"] for one in (found.get("status") or {}).get("conditions") or ()}
    return told.get("Ready") == "True"
