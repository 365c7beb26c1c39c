"""The ``traffic`` block of a Knative Service to ``Routes`` and back: pure.

Ours are the percents of known revisions. Tags stay where they are, on the entry that bears them. An entry that follows the
latest revision is pinned to the one it means now: the next one would get all of its traffic as soon as it is ready.
https://knative.dev/docs/serving/traffic-management/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.model import Routes
from fairway_steps.routing.base import Unknown
from fairway_steps.routing.revisions import shares

Json = dict[str, Any]


def decode(traffic: Sequence[Json], status: Json, revisions: Mapping[str, str]) -> Routes:
    """What the block does with the versions, by the names of their ``revisions``. Raises Unknown."""
    latest = str(status.get("latestReadyRevisionName", ""))
    coming = str(status.get("latestCreatedRevisionName", latest))
    if coming != latest and any(_follows(target) for target in block(traffic)):
        raise Unknown(
            f"traffic that follows the latest revision: {coming} would get it all at once",
            f"pin it before the candidate is made: spec.traffic: [{{revisionName: {latest or 'NAME'}, percent: 100}}]",
        )
    found = shares(block(traffic), latest)
    versions = {revision: name for name, revision in revisions.items()}
    if strange := sorted(set(found) - set(versions)):
        raise Unknown(f"traffic for {', '.join(strange) or 'nobody'}, which is none of {', '.join(sorted(versions))}")
    return Routes({versions[revision]: percent for revision, percent in found.items()})


def encode(traffic: Sequence[Json], status: Json, weights: Mapping[str, int]) -> list[Json]:
    """The block with these percents by revision."""
    result: list[Json] = []
    left = dict(weights)
    for target in pinned(traffic, status):
        kept = _without(target, "percent")
        if share := left.pop(str(target.get("revisionName", "")), 0):
            result.append({**kept, "percent": share})
        elif target.get("tag"):
            result.append(kept)
    return [*result, *(_entry(revision, percent) for revision, percent in left.items())]


def pinned(traffic: Sequence[Json], status: Json) -> list[Json]:
    """The block with the revisions it means now; a tag that follows the latest one goes on doing that."""
    latest = str(status.get("latestReadyRevisionName", ""))
    result: list[Json] = []
    for target in block(traffic):
        if not _follows(target):
            result.append(dict(target))
            continue
        result.append(_entry(latest, int(target["percent"])))
        if target.get("tag"):
            result.append(_without(target, "percent"))
    return result


def put_back(saved: Sequence[Json], traffic: Sequence[Json]) -> list[Json]:
    """The saved percents, and the tags as somebody else has meanwhile set, moved or removed them; of no block at all, the saved one."""
    if not traffic:
        return list(saved)
    tags = {target["tag"]: _without(target, "percent") for target in traffic if target.get("tag")}
    result: list[Json] = []
    for target in saved:
        tag = target.get("tag")
        bearer = tags.pop(tag, None)
        if not tag or (bearer and _means(bearer) == _means(target)):
            result.append(target)
            continue
        if target.get("percent"):
            result.append(_without(target, "tag"))
        if bearer:
            result.append(bearer)
    return [*result, *tags.values()]


def only(traffic: Sequence[Json], revision: str) -> list[Json]:
    """All to this revision; every tag stays where it is."""
    tags = [_without(target, "percent") for target in traffic if target.get("tag")]
    return [*tags, _entry(revision, 100)]


def block(traffic: Sequence[Json]) -> Sequence[Json]:
    """The block, or what stands for none."""
    return traffic or [{"latestRevision": True, "percent": 100}]


def _without(target: Json, field: str) -> Json:
    return {key: value for key, value in target.items() if key != field}


def _means(target: Json) -> tuple[bool, object]:
    return bool(target.get("latestRevision")), target.get("revisionName")


def _follows(target: Json) -> bool:
    return bool(target.get("latestRevision")) and bool(target.get("percent"))


def _entry(revision: str, percent: int) -> Json:
    return {"revisionName": revision, "latestRevision": False, "percent": percent}
