"""The field manager that wrote the weights last is told by a real API server, for each kind of route.

Left out: real Argo CD and Flux: what they leave is written here as they write it.
"""

import json

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.model import Routes
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.routing.istio import IstioRouter
from fakes_gateway import GatewayLab
from fakes_istio import IstioLab
from fakes_revisions import REVISIONS

pytestmark = pytest.mark.cluster
SPLIT = Routes({"v1": 90, "v2.1": 10})


@pytest.fixture(params=["httproute", "virtualservice", "ksvc", "inferenceservice"])
def lab(request):
    if request.param == "httproute":
        lab, back_end = GatewayLab(request.getfixturevalue("gateway_api")), GatewayRouter
    elif request.param == "virtualservice":
        lab, back_end = IstioLab(request.getfixturevalue("istio")), IstioRouter
    else:
        lab = REVISIONS[request.param](request.getfixturevalue(request.param))
        back_end = lab.back_end
    lab.router = back_end(lab.ref, "iris", lab.versions, lab.cluster, SystemClock())
    yield lab
    lab.close()


def as_git_has_it(lab, spec, manager):
    """What a tool does that takes back all it knows: server-side apply, by force."""
    query = {"fieldManager": manager, "force": "true"}
    body = {
        "apiVersion": lab.ref.api_version,
        "kind": lab.ref.kind,
        "metadata": {"name": lab.ref.name, "namespace": lab.ref.namespace},
        "spec": spec,
    }
    path = lab.cluster._path(lab.ref, many=False)
    answer = lab.cluster._open("PATCH", path, query, body, "application/apply-patch+yaml", (3.0, 20.0))
    told = json.loads(answer.read())
    answer.release_conn()
    assert answer.status == 200, told


def test_who_took_the_weights_back_is_told_by_name(lab):
    git = lab.stored()["spec"]
    lab.router.apply(SPLIT, lab.versions)
    assert lab.router.claims().writer == ""
    as_git_has_it(lab, git, "argocd-controller")
    assert lab.router.read() != SPLIT
    assert lab.router.settled() is False
    assert lab.router.trouble.startswith("argocd-controller (Argo CD) has changed the route: it now holds")
    found = lab.router.claims()
    assert (found.owner, found.writer) == ("Argo CD", "argocd-controller")
    assert f"jsonPointers:\n        - /{'/'.join(('spec', *lab.router.part))}" in found.rule
    lab.router.apply(SPLIT, lab.versions)
    assert lab.router.read() == SPLIT
