"""A version of a kind that Fairway has never heard of, over the cluster in memory and over a real API server: its readiness is told by
conditions given as data, and it is released by a route as any other; what cannot be done with it is said.

Left out: kinds that Fairway knows (tests/steps/workload), the rights that a user must give for a kind of their own.
"""

import threading

import pytest

from fairway_steps.begin import begin
from fairway_steps.clock import SystemClock
from fairway_steps.errors import UsageError
from fairway_steps.model import Policy, Routes, Stage, Version
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import promote
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.weights import Confirmation, enter_stage
from fairway_steps.workload.ends import FINALIZER, ClusterWorkloads
from fairway_steps.workload.live import Live
from fairway_steps.workload.lookup import lookup
from fairway_steps.workload.place import place
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab
from fakes_oracle import GROUP, KIND, VERSION, define, reference, tell
from fakes_routing import eventually

CONFIRM = Confirmation(settle=10.0, requests=0, wait=0.0)
LOADED = {"Loaded": "True", "Warm": "True"}


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def lab(request):
    """A route between two such versions: each one's Service bears its name."""
    cluster = FakeCluster()
    if request.param == "real":
        cluster = request.getfixturevalue("gateway_api")
        define(cluster)
    made = GatewayLab(cluster)
    for service in made.services.values():
        ref = reference(cluster.namespace, service)
        cluster.create(ref, {"spec": {"prophecy": "dim", "weights": {"url": "pvc://x"}}})
        tell(cluster, ref, **LOADED)
    at = f"{GROUP}/{VERSION}/{KIND}/{cluster.namespace}"
    made.versions = {
        name: lookup(cluster, Version(name, f"{at}/{service}?ready=Loaded,Warm"))
        for name, service in made.services.items()
    }
    yield made
    for service in made.services.values():
        cluster.delete(reference(cluster.namespace, service))
    made.close()


def test_its_place_is_looked_up_by_its_name(lab):
    at = place(lab.versions["v2.1"])
    assert (at.service, at.port, at.conditions) == (lab.services["v2.1"], 8080, ("Loaded", "Warm"))


def test_it_is_ready_when_the_conditions_that_were_given_say_so(lab):
    at = place(lab.versions["v2.1"])
    live = Live(lab.cluster, at, threading.Event())
    eventually(lambda: live.trouble() == "")
    tell(lab.cluster, at.ref, Loaded="False:Downloading:3 of 7 shards", Warm="True")
    eventually(lambda: "its condition Loaded is False (Downloading: 3 of 7 shards)" in live.trouble())
    tell(lab.cluster, at.ref, Loaded="True")
    eventually(lambda: "its condition Warm is not told yet" in live.trouble())
    lab.cluster.patch(at.ref, {"spec": {"prophecy": "clear"}})
    eventually(lambda: "newest spec" in live.trouble())
    tell(lab.cluster, at.ref, **LOADED)
    eventually(lambda: live.trouble() == "")


def test_it_is_released_and_kept_from_deletion_meanwhile(lab, tmp_path):
    class Accepted(GatewayRouter):
        def settled(self):
            lab.accept()
            return super().settled()

    def accepted():
        made = Accepted(lab.ref, "iris", lab.versions, lab.cluster, SystemClock())
        made._programmed = True
        return made

    v1, v2 = lab.versions.values()
    store, clock, workloads = (
        FileStore(tmp_path / "record.json"),
        SystemClock(),
        ClusterWorkloads(lab.cluster, SystemClock()),
    )
    record = begin(
        store, accepted(), clock,
        service="iris", route="theirs", primary=v1, candidate=v2, stages=(Stage(50, 1.0),), slos=(),
        holder="a", lease_for=60.0, resume=False, gone=lambda _: False,
    )  # fmt: skip
    lease = Lease(record.release_id, record.token)
    workloads.guard(v2)
    assert FINALIZER in lab.cluster.get(place(v2).ref)["metadata"]["finalizers"]

    enter_stage(store, lease, accepted(), clock, index=0, confirm=CONFIRM)
    ended = promote(store, lease, accepted(), clock, alive=lambda: "", confirm=CONFIRM)
    assert (ended.stable, accepted().read()) == (v2, Routes({"v2.1": 100}))
    workloads.unguard(v2)
    assert lab.cluster.get(place(v2).ref)["metadata"].get("finalizers") in (None, [])


def test_what_is_not_known_of_it_is_said(lab, caplog):
    v1, workloads = lab.versions["v1"], ClusterWorkloads(lab.cluster, SystemClock())
    assert workloads.retire(v1, Policy.SCALE) == ""
    assert f"Fairway does not know how to scale a {KIND} down" in caplog.text
    with pytest.raises(UsageError, match=f"no copy of a {KIND} can be made"):
        workloads.carried(v1)
    assert workloads.retire(v1, Policy.DELETE).endswith("is deleted")
    assert lab.cluster.get(place(v1).ref) is None
