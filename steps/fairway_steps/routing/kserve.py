"""KServe: ``inferenceservice/NAMESPACE/NAME``, whose versions are revisions of its predictor.

KServe splits in mode Knative alone, between its latest ready revision and the one that was rolled out last, by
``spec.predictor.canaryTrafficPercent``. Without the field the latest one has all traffic
(https://kserve.github.io/website/docs/model-serving/predictive-inference/rollout-strategies/canary). In mode Standard the
field is ignored, and of ``spec.canary[].trafficPercent`` version 0.20 deploys the canary and splits nothing: refused.

KServe copies the annotations of an InferenceService into its revisions' template, so that one of ours would make a new revision; those
of the Knative Service that it makes of the predictor it leaves alone. So the fencing token is kept there.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import Conflict, DomainError, Refused, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import fences, revisions
from fairway_steps.routing.base import HEADER_MATCH, MIRROR, SEVERAL, Capabilities, Unknown
from fairway_steps.routing.stored import StoredRouter
from fairway_steps.workload.place import Place

LOG = logging.getLogger(__name__)
FORMAT = 1
FIELD = "canaryTrafficPercent"
MODE = "serving.kserve.io/deploymentMode"
LEGACY = {"Serverless": "Knative", "RawDeployment": "Standard"}
PREDICTORS = ("predictor-default", "predictor")
"""What the name of the predictor's Knative Service ends with; KServe keeps the older one where there is one."""
KEEPER = "keeper"


class KServeRouter(StoredRouter):
    """The traffic of an InferenceService in mode Knative."""

    capabilities = Capabilities(
        weights=True,
        several=False,
        reasons={
            HEADER_MATCH: "KServe splits an InferenceService by percents alone; use two of them behind a route of your own",
            MIRROR: "KServe copies no requests; use two InferenceServices behind a route of your own",
            SEVERAL: "KServe splits between two revisions; use several InferenceServices behind a route of your own",
        },
    )
    part = ("predictor", FIELD)

    def _placed(self, versions: Mapping[str, Version]) -> dict[str, Place]:
        return revisions.places(versions, self.ref.namespace)

    def _dead(self, names: Iterable[str]) -> list[str]:
        return revisions.not_ready(self.cluster, self._places, names)

    def _silent(self, name: str) -> str:
        return f"{self._places[name].ref} is not ready"

    def _found(self) -> Manifest:
        """The InferenceService, and read after it the Knative Service that keeps the token."""
        found = super()._found()
        return {**found, KEEPER: self._keeper()}

    def _keeper(self) -> Manifest:
        """Empty if there is none, or it may not be read: the way back needs no token."""
        try:
            every = (self.cluster.get(self._named(end)) for end in PREDICTORS)
            return next((one for one in every if one), {})
        except DomainError as error:
            LOG.warning("the token of %s could not be read: %s", self.ref, error)
            return {}

    def _named(self, end: str) -> Reference:
        return Reference.of("ksvc", self.ref.namespace, f"{self.ref.name}-{end}")

    def _token(self, found: Manifest) -> int:
        return fences.noted(found[KEEPER]) if found[KEEPER] else 0

    def _put(self, found: Manifest, parts: dict[str, Any], token: int, *, whatever: bool = False) -> None:
        keeper = found[KEEPER]
        if not keeper and not parts:
            raise Refused(
                f"{self.ref} has no Knative Service {self._named('predictor').name} that can be read, which is to keep the release's token",
                mend="let the account get and patch it (manifests/argo/rbac/kserve.yaml)",
            )
        if keeper and token != self._token(found):
            noted = {"metadata": {"annotations": {fences.FENCE: str(token)}}}
            ref = Reference.of("ksvc", self.ref.namespace, keeper["metadata"]["name"])
            self.cluster.patch(ref, noted, resource_version=_version(keeper, whatever))
        if not parts:
            return
        written = self.cluster.patch(self.ref, {"spec": parts}, resource_version=_version(found, whatever))
        if not whatever and self._token({KEEPER: self._keeper()}) > token:  # of two objects no version is common
            before = {"spec": {"predictor": {FIELD: _percent(found)}}}
            self.cluster.patch(self.ref, before, resource_version=_version(written))
            raise Conflict(f"{self.ref} was claimed just now")

    def _says(self, found: Manifest) -> Routes:
        _must_split(found, self.ref.namespace)
        status, percent = _predictor(found), _percent(found)
        _must_be_made(status, percent)
        return Routes(self._by_version(_shares(status, percent)))

    def _saying(self, found: Manifest, routes: Routes) -> dict[str, Any]:
        status = _predictor(found)
        ready, other = status.get("latestReadyRevision", ""), _other(status)
        weights = {self._places[name].ref.name: share for name, share in routes.weights.items()}
        if strange := sorted(set(weights) - {ready, other}):
            raise Unknown(
                f"no way to give traffic to {', '.join(strange)}: KServe splits between its latest ready revision "
                f"{ready} and {other or 'none'}, which was rolled out last"
            )
        if not other:
            return {"predictor": {FIELD: _percent(found)}}
        percent = None if weights.get(ready, 0) == 100 else weights.get(ready, 0)
        _must_be_made(status, percent)
        return {"predictor": {FIELD: percent}}

    def _holds(self, found: Manifest, parts: dict[str, Any]) -> bool:
        return bool(_percent(found) == parts["predictor"][FIELD])

    def _take(self, found: Manifest) -> str:
        saved = {"format": FORMAT, "kind": self.ref.kind, "name": self.ref.name}
        return json.dumps(saved | {"shares": _shares(_predictor(found), _percent(found))})

    def _back(self, snapshot: str, found: Manifest) -> dict[str, Any]:
        """The percent at which the revisions have again what they had."""
        return self._shared_as(self._parse(snapshot), found)

    def _only(self, found: Manifest, name: str) -> dict[str, Any]:
        return self._shared_as({self._places[name].ref.name: 100}, found)

    def _shared_as(self, saved: Mapping[str, int], found: Manifest) -> dict[str, Any]:
        status = _predictor(found)
        ready, other = status.get("latestReadyRevision", ""), _other(status)
        if gone := sorted(set(saved) - {ready, other}):
            raise Refused(
                f"{self.ref} cannot go back to {gone[0]}: KServe has rolled out {other or 'nothing'} since",
                mend="apply the older spec again",
            )
        whole = saved.get(ready) == 100 and status.get("latestCreatedRevision") == ready
        return {"predictor": {FIELD: None if whole else saved.get(ready, 0)}}

    def _must_be_ready(self, back: Manifest, found: Manifest) -> None:
        """The way back is one number, which KServe may resolve otherwise by now: it is told by the read afterwards."""
        del back, found

    def _not_taken_up(self, found: Manifest) -> str:
        status = _predictor(found)
        wanted = _shares(status, _percent(found))
        served = revisions.shares(status.get("traffic") or (), str(status.get("latestReadyRevision", "")))
        return "" if served == wanted else f"{self.ref} serves {json.dumps(served)}, not {json.dumps(wanted)}"

    def _by_version(self, shares: Mapping[str, int]) -> dict[str, int]:
        versions = {at.ref.name: name for name, at in self._places.items()}
        if strange := sorted(set(shares) - set(versions)):
            raise Unknown(
                f"traffic for the revision {', '.join(strange) or 'of none'}, which is none of {', '.join(sorted(versions))}"
            )
        return {versions[revision]: share for revision, share in shares.items()}

    def _parse(self, snapshot: str) -> dict[str, int]:
        try:
            saved = json.loads(snapshot)
            if (saved["format"], saved["kind"], saved["name"]) == (FORMAT, self.ref.kind, self.ref.name):
                return {str(revision): int(share) for revision, share in saved["shares"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UsageError(f"this is no snapshot of {self.ref}") from error
        raise UsageError(f"this is no snapshot of {self.ref}")


def _must_split(found: Manifest, namespace: str) -> None:
    told = (found["metadata"].get("annotations") or {}).get(MODE, "")
    said = (found.get("status") or {}).get("deploymentMode") or told
    mode = LEGACY.get(said, said)
    if mode == "Knative":
        return
    if mode == "ModelMesh":
        raise Unknown(
            "deployment mode ModelMesh, which KServe does not split",
            f"split by Istio: --route virtualservice/{namespace}/NAME and versions "
            f"inferenceservice/{namespace}/NAME?service=modelmesh-serving&port=8033&vmodel=NAME",
        )
    raise Unknown(
        f"deployment mode {mode or 'Standard (none is told)'}: {FIELD} is ignored there, and spec.canary[].trafficPercent is "
        "stored, but splits nothing at a Gateway (KServe 0.20)",
        "make the candidate an InferenceService of its own, and release both behind a route of yours: "
        f"--route httproute/{namespace}/NAME, versions inferenceservice/{namespace}/NAME",
    )


def _must_be_made(status: Mapping[str, Any], percent: int | None) -> None:
    """Raise Unknown if a revision in the making would get the percent of the latest one."""
    ready, coming = status.get("latestReadyRevision", ""), status.get("latestCreatedRevision", "")
    if coming != ready and percent != 0:
        raise Unknown(
            f"{f'{FIELD} {percent}' if percent else f'no {FIELD}'}: {coming or 'the first revision'} would get that "
            "traffic as soon as it is ready",
            f"apply the candidate's spec together with {FIELD}: 0",
        )


def _version(found: Manifest, whatever: bool = False) -> str:
    return "" if whatever else str(found["metadata"]["resourceVersion"])


def _predictor(found: Manifest) -> dict[str, Any]:
    return dict(((found.get("status") or {}).get("components") or {}).get("predictor") or {})


def _percent(found: Manifest) -> int | None:
    percent = ((found.get("spec") or {}).get("predictor") or {}).get(FIELD)
    return None if percent is None else int(percent)


def _other(status: Mapping[str, Any]) -> str:
    """The revision that has what the latest ready one is not given; empty for none.

    Once the latest one is rolled out itself, a percent below 100 makes KServe go back to the one before.
    """
    ready, rolled = status.get("latestReadyRevision", ""), str(status.get("latestRolledoutRevision", ""))
    if rolled != ready:
        return rolled
    return str(status.get("previousRolledoutRevision", "")) if status.get("latestCreatedRevision") == ready else ""


def _shares(status: Mapping[str, Any], percent: int | None) -> dict[str, int]:
    """What KServe makes of the field; with no other revision the latest one has all traffic."""
    ready, other = str(status.get("latestReadyRevision", "")), _other(status)
    if percent is None or not other:
        return {ready: 100}
    return {name: share for name, share in ((ready, percent), (other, 100 - percent)) if share}
