"""KServe's LLMInferenceServices: ``llminferenceservice/NAMESPACE/GROUP``, whose versions are the members of that routing group.

Each member states its own share in ``spec.router.route.weight``; KServe makes one weighted route of the group
(https://kserve.github.io/website/docs/next/model-serving/generative-inference/llmisvc/canary-rollout). So a split is several objects:
the token is written to each of them with its weight, in an order in which no write takes anybody's share beyond what it was and what
was asked for; what stands between two of these writes is read as what it is, so that whoever comes next goes on. A member without a
share stays in the group at 0: outside of it KServe gives it a route of its own for the same model, and the oldest such route gets
all traffic.
"""

import json
from collections.abc import Mapping
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import Refused, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing.base import HEADER_MATCH, MIRROR, Capabilities, Unknown
from fairway_steps.routing.claims import NOBODY, Claims, claims
from fairway_steps.routing.fences import FENCE, noted
from fairway_steps.routing.stored import StoredRouter
from fairway_steps.workload.place import Place, backends

FORMAT = 1
KIND = "llminferenceservice"
STOP = "serving.kserve.io/stop"
TOLD = ("GroupReady", "RouterReady")
MEMBERS = "members"
Json = dict[str, Any]


class LlmRouter(StoredRouter):
    """The weights of a routing group; the object that is read is all of its members together."""

    capabilities = Capabilities(
        weights=True,
        reasons={
            HEADER_MATCH: "KServe splits a routing group by weights alone; a member's own path reaches it whatever its weight",
            MIRROR: "KServe copies no requests",
        },
    )
    part = ("router", "route", "weight")
    mend_unknown = "the members of the routing group with a weight must be this release's versions"

    def _placed(self, versions: Mapping[str, Version]) -> dict[str, Place]:
        found = backends(versions)
        for name, at in found.items():
            if at.ref.kind != "LLMInferenceService" or at.ref.namespace != self.ref.namespace:
                raise UsageError(
                    f"version {name} ({at.ref}) cannot be in the routing group {self.ref.name}",
                    mend=f"write {KIND}/{self.ref.namespace}/NAME",
                )
        return found

    def _found(self) -> Manifest:
        """The group as if it were one object: its weights, and the highest token that a member has seen."""
        every = self.cluster.list(Reference.of(KIND, self.ref.namespace))
        members = {one["metadata"]["name"]: one for one in every if _route(one).get("group") == self.ref.name}
        if not members:
            raise Refused(
                f"no LLMInferenceService in {self.ref.namespace} has spec.router.route.group {self.ref.name}",
                mend="make the primary a member of the group, with a weight",
            )
        token = max(noted(one) for one in members.values())
        weights = {name: int(_route(one).get("weight", 0)) for name, one in members.items()}
        return {"metadata": {"annotations": {FENCE: str(token)}}, "spec": {"weights": weights}, MEMBERS: members}

    def _says(self, found: Manifest) -> Routes:
        names = {at.ref.name: name for name, at in self._places.items()}
        shares = {member: weight for member, weight in found["spec"]["weights"].items() if weight}
        shares = {member: weight for member, weight in shares.items() if not _is_stopped(found[MEMBERS][member])}
        if strange := sorted(set(shares) - set(names)):
            raise Unknown(f"traffic for its member {', '.join(strange)}, which is none of {', '.join(sorted(names))}")
        if not shares:
            raise Unknown("no member that is not stopped and has a weight")
        return Routes(_nearest_percents({names[member]: weight for member, weight in shares.items()}))

    def _saying(self, found: Manifest, routes: Routes) -> Json:
        wanted = {at.ref.name: routes.weights.get(name, 0) for name, at in self._places.items()}
        return {"weights": {name: wanted.get(name, weight) for name, weight in found["spec"]["weights"].items()}}

    def _preflight(self, found: Manifest, routes: Routes) -> None:
        """What KServe would store, and split nothing."""
        wanted = [self._places[name].ref.name for name in sorted(routes.versions())]
        if outside := [name for name in wanted if name not in found[MEMBERS]]:
            raise Refused(
                f"{outside[0]} is not in the routing group {self.ref.name}: nobody would be sent to it",
                mend=f"give it spec.router.route: {{group: {self.ref.name}, weight: 0}}",
            )
        members = {name: found[MEMBERS][name] for name in wanted}
        if stopped := [name for name, one in members.items() if _is_stopped(one)]:
            raise Refused(f"{stopped[0]} is stopped", mend=f"take its annotation {STOP} away")
        if len(models := {_model(one) for one in members.values()}) > 1:
            raise Refused(
                f"members of the routing group {self.ref.name} serve models of several names ({', '.join(sorted(models))}): "
                "KServe does not split between them",
                mend="give them one spec.model.name",
            )

    def _holds(self, found: Manifest, parts: Json) -> bool:
        same = len({noted(found[MEMBERS][at.ref.name]) for at in self._members(found)}) < 2
        return same and super()._holds(found, parts)

    def _put(self, found: Manifest, parts: Json, token: int, *, whatever: bool = False) -> None:
        before = found["spec"]["weights"]
        after = parts.get("weights", before)
        for name in _in_order(sorted(at.ref.name for at in self._members(found)), before, after):
            if before[name] == after[name] and noted(found[MEMBERS][name]) == token:
                continue
            version = "" if whatever else found[MEMBERS][name]["metadata"]["resourceVersion"]
            spec = {"router": {"route": {"weight": after[name]}}}
            patch = {"spec": spec, "metadata": {"annotations": {self._mark: str(token)}}}
            self.cluster.patch(Reference.of(KIND, self.ref.namespace, name), patch, resource_version=version)
            whatever = whatever or not parts  # of two that claim the group, one gets its first member, and with it all

    def _members(self, found: Manifest) -> list[Place]:
        return [at for at in self._places.values() if at.ref.name in found[MEMBERS]]

    def _take(self, found: Manifest) -> str:
        weights = {at.ref.name: found["spec"]["weights"][at.ref.name] for at in self._members(found)}
        return json.dumps({"format": FORMAT, "kind": self.ref.kind, "name": self.ref.name, "weights": weights})

    def _back(self, snapshot: str, found: Manifest) -> Json:
        saved = self._parse(snapshot)
        return {"weights": {name: saved.get(name, weight) for name, weight in found["spec"]["weights"].items()}}

    def _only(self, found: Manifest, name: str) -> Json:
        ours = {at.ref.name: 100 * (version == name) for version, at in self._places.items()}
        return {"weights": {member: ours.get(member, weight) for member, weight in found["spec"]["weights"].items()}}

    def _not_taken_up(self, found: Manifest) -> str | None:
        wanted = found["spec"]["weights"]
        for at in self._members(found):
            one = found[MEMBERS][at.ref.name]
            if _is_stopped(one):
                continue
            status = one.get("status") or {}
            if int(status.get("observedGeneration", 0)) < int(one["metadata"].get("generation", 0)):
                return f"{at.ref}: its controller has not yet seen the newest spec"
            told = {c["type"]: c for c in status.get("conditions") or ()}
            for kind in (kind for kind in TOLD if told.get(kind, {"status": "True"})["status"] != "True"):
                return f"{at.ref}: its condition {kind} is {told[kind]['status']} ({told[kind].get('message', '')})"
            group = (status.get("router") or {}).get("group") or {}
            served = {member["name"]: member["weight"] for member in group.get("members") or ()}
            if served != wanted:
                return f"{at.ref} is routed by {json.dumps(served)}, not {json.dumps(wanted)}"
        return ""

    def claims(self) -> Claims:
        found = self._found()
        path = ("spec", *self.part)
        told = {at.ref: claims(at.ref, found[MEMBERS][at.ref.name], *path) for at in self._members(found)}
        owned = [ref for ref, one in told.items() if one.owner]
        if owned:  # a release writes them all
            return claims(owned[0], found[MEMBERS][owned[0].name], *path, beside=owned[1:])
        return next((one for one in told.values() if one.writer), NOBODY)

    def _parse(self, snapshot: str) -> dict[str, int]:
        try:
            saved = json.loads(snapshot)
            if (saved["format"], saved["kind"], saved["name"]) == (FORMAT, self.ref.kind, self.ref.name):
                return {str(name): int(weight) for name, weight in saved["weights"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UsageError(f"this is no snapshot of {self.ref}") from error
        raise UsageError(f"this is no snapshot of {self.ref}")


def _in_order(names: list[str], before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Weights that rise, then those that fall, and of both first whose share falls: sums may differ, as an owner's own scale does."""
    was, will = sum(before[name] for name in names), sum(after[name] for name in names)
    return sorted(names, key=lambda name: (before[name] > after[name], after[name] * was > before[name] * will))


def _nearest_percents(shares: Mapping[str, int]) -> dict[str, int]:
    """Relative weights as percents; between two writes they may be no whole ones, and who has any gets not 0 of them."""
    total, most = sum(shares.values()), max(shares, key=lambda name: shares[name])
    found = {name: max(1, weight * 100 // total) for name, weight in shares.items()}
    return found | {most: 100 - sum(percent for name, percent in found.items() if name != most)}


def _route(one: Manifest) -> Json:
    return dict(((one.get("spec") or {}).get("router") or {}).get("route") or {})


def _model(one: Manifest) -> str:
    return str(((one.get("spec") or {}).get("model") or {}).get("name") or one["metadata"]["name"])


def _is_stopped(one: Manifest) -> bool:
    return (one["metadata"].get("annotations") or {}).get(STOP) == "true"
