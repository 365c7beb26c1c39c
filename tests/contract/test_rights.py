"""The rights that the manifests give a release are enough for what it does to routes, versions and its record, and no
more: over a real API server that authorises.

Left out: Argo's own outputs (tests/e2e), InferenceServices as versions.
"""

import json
import os
import threading

import pytest
from kubernetes.client import Configuration

from fairway_steps.clock import SystemClock
from fairway_steps.cluster import FIELD_MANAGER, Reference
from fairway_steps.cluster.kube import KubernetesCluster
from fairway_steps.errors import DomainError
from fairway_steps.model import Policy, Routes, Version
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.routing.istio import IstioRouter
from fairway_steps.stores.configmap import ConfigMapStore
from fairway_steps.workload.ends import ClusterWorkloads
from fairway_steps.workload.live import Live
from fairway_steps.workload.lookup import lookup
from fairway_steps.workload.place import place
from fairway_steps.workload.standby import AUTOSCALERS
from fairway_workflows.rbac import BACK_ENDS, accounts, back_end
from fairway_workflows.safety import Safety
from fakes_gateway import GatewayLab
from fakes_istio import IstioLab
from fakes_revisions import REVISIONS
from records import record

pytestmark = pytest.mark.cluster
NAME = f"fairway-rights-{os.getpid()}"
SAFETY = Safety(releaser=NAME, reporter=f"{NAME}-reporter")
DEPLOYMENT = {
    "replicas": 2,
    "selector": {"matchLabels": {"app": NAME}},
    "template": {
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "model", "image": "example.invalid/model:1"}]},
    },
}


@pytest.fixture(scope="module")
def releaser(gateway_api):
    """A cluster as the service account of a release sees it."""
    made = []
    for manifest in [
        *accounts(SAFETY),
        *(one for name in BACK_ENDS if name != "deletion" for one in back_end(name, SAFETY)),
    ]:
        group, _, version = manifest["apiVersion"].rpartition("/")
        ref = Reference(group, version, manifest["kind"], gateway_api.namespace, manifest["metadata"]["name"])
        body = dict(manifest)
        if body["kind"] == "RoleBinding":
            body["subjects"] = [one | {"namespace": gateway_api.namespace} for one in body["subjects"]]
        gateway_api.create(ref, body)
        made.append(ref)
    path = f"/api/v1/namespaces/{gateway_api.namespace}/serviceaccounts/{NAME}/token"
    answer = gateway_api._open("POST", path, {}, {"spec": {}}, "application/json", (3.0, 20.0))
    token = json.loads(answer.read())["status"]["token"]
    answer.release_conn()
    known, configuration = gateway_api._client.configuration, Configuration()
    configuration.host, configuration.ssl_ca_cert = known.host, known.ssl_ca_cert
    configuration.api_key["BearerToken"] = f"Bearer {token}"
    cluster = KubernetesCluster(configuration, gateway_api.namespace, SystemClock())
    yield cluster
    cluster.close()
    for ref in made:
        gateway_api.delete(ref)


@pytest.fixture
def lab(gateway_api):
    lab = GatewayLab(gateway_api)
    for service in lab.services.values():
        gateway_api.create(Reference.of("deployment", gateway_api.namespace, service), {"spec": DEPLOYMENT})
    yield lab
    for service in lab.services.values():
        gateway_api.delete(Reference.of("deployment", gateway_api.namespace, service))
    gateway_api.delete(Reference.of("configmap", gateway_api.namespace, NAME))
    lab.close()


def test_a_release_can_do_all_that_it_does(lab, releaser, gateway_api):
    store = ConfigMapStore(Reference.of("configmap", releaser.namespace, NAME), releaser)
    store.update(lambda _: record())
    assert store.update(lambda r: r.noted(0.0, "test", "x")).events
    v1, v2 = (lookup(releaser, version) for version in lab.versions.values())
    router = GatewayRouter(lab.ref, "iris", {"v1": v1, "v2.1": v2}, releaser, SystemClock())
    saved = router.snapshot()
    router.preflight([Routes({"v1": 90, "v2.1": 10})], {})
    assert releaser.list(Reference("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant", releaser.namespace)) == []
    assert router.apply(Routes({"v1": 90, "v2.1": 10}), {}, fence=3) == Routes({"v1": 90, "v2.1": 10})
    lab.accept()
    assert router.settled() is False, "its Gateway is nobody's"
    assert "Gateway" in router.trouble
    assert router.restore(saved, fence=4) == Routes({"v1": 100})
    workloads = ClusterWorkloads(releaser, SystemClock())
    assert workloads.shrinks(v1) == ""
    assert releaser.list(Reference(*AUTOSCALERS, releaser.namespace)) == []
    assert workloads.size(v2) == 2
    served = Version("v2", f"service/{releaser.namespace}/{place(v2).service}?port=8080")
    assert Live(releaser, place(served), threading.Event()).trouble() == ""
    workloads.guard(v2)
    assert "fairway/traffic" in gateway_api.get(place(v2).ref)["metadata"]["finalizers"]
    workloads.unguard(v2)
    workloads.carry(v1, workloads.carried(v2))
    assert workloads.retire(v2, Policy.SCALE).endswith("is scaled to 0")
    assert workloads.revive(v2, 1)
    workloads.retire(v2, Policy.SCALE)
    assert workloads.wake(v2)
    assert Live(releaser, place(v2), threading.Event()).trouble(), "its pods cannot be up yet"
    workloads.tell(v2, "Promoted", "fine")
    events = gateway_api.list(Reference("", "v1", "Event", releaser.namespace))
    ours = [e for e in events if e["source"].get("component") == FIELD_MANAGER]
    assert [e["message"] for e in ours if e["involvedObject"]["name"] == place(v2).ref.name] == ["fine"]


def test_a_release_through_istio_needs_what_istios_role_gives(releaser, istio):
    lab = IstioLab(istio)
    try:
        router = IstioRouter(lab.ref, "iris", lab.versions, releaser, SystemClock())
        saved = router.snapshot()
        assert router.apply(Routes({"v1": 90, "v2.1": 10}), {}, fence=3) == Routes({"v1": 90, "v2.1": 10})
        lab.accept()
        assert router.settled() is True
        assert router._subsets(place(lab.versions["v1"])) == set()
        assert router.restore(saved, fence=4) == Routes({"v1": 100})
        with pytest.raises(DomainError, match="cannot list resource"):
            releaser.list(Reference.of("virtualservice", releaser.namespace))
    finally:
        lab.close()


@pytest.mark.parametrize("kind", ["ksvc", "inferenceservice"])
def test_a_release_between_revisions_needs_what_their_roles_give(releaser, request, kind):
    cluster = request.getfixturevalue(kind)
    if cluster is not request.getfixturevalue("real"):
        pytest.skip("the account is known to this cluster, whose KServe is not in mode Knative")
    lab = REVISIONS[kind](cluster)
    try:
        router = lab.back_end(lab.ref, "iris", lab.versions, releaser, SystemClock())
        saved = router.snapshot()
        assert router.apply(Routes({"v1": 90, "v2.1": 10}), {}, fence=3) == Routes({"v1": 90, "v2.1": 10})
        lab.reconcile()
        assert router.settled() is True
        assert router.restore(saved, fence=4) == Routes({"v1": 100})
        first = next(iter(releaser.watch(place(lab.versions["v1"]).ref, timeout=5)))
        assert len(first) == 1
    finally:
        lab.close()


def test_and_nothing_else(lab, releaser):
    with pytest.raises(DomainError, match="cannot delete resource"):
        releaser.delete(Reference.of("deployment", releaser.namespace, lab.services["v1"]))
    with pytest.raises(DomainError, match="cannot get resource"):
        releaser.get(Reference("", "v1", "Secret", releaser.namespace, "x"))
    with pytest.raises(DomainError, match="cannot get resource"):
        releaser.get(Reference.of("configmap", "kube-system", "x"))
