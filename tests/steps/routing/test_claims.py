"""Covers: whose route it is by what Argo CD and Flux leave on an object, the rule that makes each leave the split alone, and the
field manager that wrote our part last.

Leaves out: real managedFields (tests/contract/test_claims.py).
"""

import pytest
import yaml

from fairway_steps.cluster import Reference
from fairway_steps.routing.claims import NOBODY, claims

REF = Reference.of("httproute", "team", "iris")


def managed(manager, time, *path, **more):
    fields = {}
    for name in reversed(path):
        fields = {f"f:{name}": fields}
    return {"manager": manager, "time": time, "fieldsV1": fields, **more}


def told(**metadata):
    return claims(REF, {"metadata": metadata}, "spec", "rules")


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:g/HTTPRoute:team/iris"}},
            "Argo CD (Application shop)",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD (Application shop)"),
        ({"managedFields": [managed("argocd-controller", "1", "spec", "rules")]}, "Argo CD"),
    ],
)
def test_argo_cd_is_known_by_its_marks_and_told_to_ignore_our_part(metadata, owner):
    found = told(**metadata)
    assert found.owner == owner
    spec = yaml.safe_load(found.rule)["spec"]
    assert spec["ignoreDifferences"] == [
        {"group": REF.group, "kind": "HTTPRoute", "namespace": "team", "name": "iris", "jsonPointers": ["/spec/rules"]}
    ]
    assert spec["syncPolicy"] == {"syncOptions": ["RespectIgnoreDifferences=true"]}


@pytest.mark.parametrize(("tool", "kind"), [("kustomize", "Kustomization"), ("helm", "HelmRelease")])
def test_flux_is_known_by_its_labels_and_told_to_ignore_our_part(tool, kind):
    labels = {f"{tool}.toolkit.fluxcd.io/name": "shop", f"{tool}.toolkit.fluxcd.io/namespace": "flux-system"}
    found = told(labels=labels)
    assert found.owner == f"Flux ({kind} flux-system/shop)"
    spec = yaml.safe_load(found.rule)["spec"]
    rules = spec["ignore"] if tool == "kustomize" else spec["driftDetection"]["ignore"]
    target = {"group": REF.group, "kind": "HTTPRoute", "namespace": "team", "name": "iris"}
    assert rules == [{"paths": ["/spec/rules"], "target": target}]
    assert told(managedFields=[managed(f"{tool}-controller", "1", "spec")]).owner == "Flux"


def test_the_writer_is_the_last_other_manager_of_our_part():
    ours = managed("fairway", "2", "metadata", "annotations")
    old, new = managed("kubectl-edit", "1", "spec", "rules"), managed("argo", "3", "spec", "rules")
    status = managed("gateway", "9", "spec", "rules", subresource="status")
    elsewhere = managed("labeller", "8", "metadata", "labels")
    assert told(managedFields=[old, new, ours, status, elsewhere]).writer == "argo"
    assert told(managedFields=[old, ours]).writer == ""
    assert told(managedFields=[managed("x", "1", "spec")]).writer == ""


def test_a_route_that_nobody_claims():
    assert told() == told(labels={"app.kubernetes.io/instance": "iris"}) == NOBODY
