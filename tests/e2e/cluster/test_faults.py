"""Covers: what goes wrong in the middle of a release of plain Deployments behind a Gateway, step by step, under a continuous client
with a record of each request: a candidate that fails, whose image is not there, that crashes, that somebody deletes; a step
that is killed right after its write, or told to end while it waits; three releases in a row.

Leaves out: the same under Argo (test_canary.py, test_broken_off.py), a route that others write (tests/contract/test_route_faults.py).
"""

import signal
import time

import pytest

from on_cluster.client import BODY
from on_cluster.kube import eventually, get, kubectl, named
from on_cluster.release import Service
from on_cluster.steps import Steps
from on_cluster.witness import Witness

pytestmark = pytest.mark.usefixtures("within_reach")
KEPT = {"primary_policy": "keep", "candidate_policy": "keep"}
SOON = 60.0
"""Seconds for what is done at once, in a second or two, however busy the machine is; what it interrupts lasts ten minutes."""
MOMENT = 1.0
"""Seconds: proxies take up a change a moment after their controller has told that it is accepted."""


@pytest.fixture(scope="module")
def shared(space, address):
    """Versions that all tests here share: none of them takes their pods away."""
    made = Service(space, "shared", address)
    for name in ("v1", "v2", "v3"):
        made.deploy_version(name)
    for name in ("v1", "v2", "v3"):
        made.await_version(name)
    return made


@pytest.fixture
def service(shared, request):
    """A route of its own, with all traffic on v1."""
    made = Service(shared.namespace, named(request), shared.address, of="shared")
    made.expose()
    return made


def candidate(service, name):
    return f"v2=deployment/{service.namespace}/{service.version(name)}"


def test_a_failing_candidate_goes_and_once_mended_is_assessed_anew(service):
    service.deploy_version("failing", "failing")
    service.await_version("failing")
    steps, given = Steps(service), {"candidate": candidate(service, "failing"), "primary_policy": "keep"}
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="20@30s", **given)
        steps.ready()
        steps.verdict("rollback")
        assert service.weights() == {service.primary: 1}, "the traffic left before the verdict was told"
        steps.run("rollback")
        first = service.record()
        eventually(lambda: len(client.since(first["finished"])) > 100, 120)
    service.check("v1", client)
    assert (first["outcome"], service.replicas("failing")) == ("rolled-back", 0)
    off, scaled = (
        seen.when(one)
        for one in (lambda now: len(now.backends) > 1, lambda now: now.replicas.get(service.version("failing")) == 0)
    )
    assert seen.when(lambda now: now.backends == {service.primary}, after=off) < scaled
    back = first["timeline"][-1]
    assert [one for one in client.since(back["at"] + back["settled_after"] + MOMENT) if one.failed] == []
    assert {one.status for one in client.failed()} == {500}, "what the candidate's own users met"

    service.deploy_version("failing", "good", replicas=1)
    service.await_version("failing")
    with service.client() as client:
        steps.begin(stages="50@4s", **given)
        steps.ready()
        steps.verdict("promote")
        steps.run("promote")
    second = service.record()
    assert second["release_id"] != first["release_id"]
    assert [one["assessment"]["verdict"] for one in second["results"]] == ["promote"]
    assert min(one["start"] for one in second["strata"]) > first["finished"]
    service.check("failing", client)


def test_a_candidate_whose_image_is_not_there_never_gets_a_share(service):
    service.deploy_version("no-image", image="example.invalid/nothing:v1")
    steps, primary = Steps(service), get(service.namespace, f"deployment/{service.primary}")
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(candidate=candidate(service, "no-image"), primary_policy="keep")
        said = steps.ready(1, timeout="5s").said
        steps.run("rollback")
    record = service.record()
    assert "no-image" in said
    assert "ImagePullBackOff" in said or "ErrImage" in said, said
    assert record["outcome"] == "rolled-back"
    assert record["finished"] - record["timeline"][-1]["at"] < 10
    assert {state.backends for state in seen.states()} == {frozenset({service.primary})}
    assert client.failed() == []
    assert (
        get(service.namespace, f"deployment/{service.primary}")["metadata"]["generation"]
        == primary["metadata"]["generation"]
    )
    service.check("v1", client)


@pytest.mark.parametrize(("strategy", "stages"), [("blue-green", "100@10m"), ("mirror", "mirror:50@10m")])
def test_a_candidate_that_crashes_in_a_blue_green_or_a_mirror_is_left_at_once(service, strategy, stages):
    service.deploy_version("crashing", "crashing")
    service.await_version("crashing")
    steps = Steps(service)
    with service.client() as client:
        steps.begin(stages=stages, strategy=strategy, candidate=candidate(service, "crashing"), primary_policy="keep")
        steps.ready()
        steps.verdict("rollback")
        assert service.reached() == {service.primary}, "the traffic left before the verdict was told"
        assert service.replicas("crashing") == 1
        steps.run("rollback")
        record = service.record()
        eventually(lambda: len(client.since(record["finished"])) > 100, 120)
    entered, back = record["timeline"]
    assert (entered["stage"], back["at"] - entered["at"] < SOON) == (0, True)
    assert service.replicas("crashing") == 0
    service.check("v1", client, may_lose=strategy == "blue-green")
    assert [one for one in client.since(back["at"] + back["settled_after"] + MOMENT) if one.failed] == []
    assert strategy == "blue-green" or (client.failed(), client.answered_by("crashing")) == ([], [])


def test_a_candidate_that_crashes_loses_its_traffic_before_its_pods(service):
    service.deploy_version("crashing", "crashing")
    service.await_version("crashing")
    name, steps = service.version("crashing"), Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="50@10m", candidate=candidate(service, "crashing"), primary_policy="keep")
        steps.ready()
        steps.verdict("rollback")
        steps.run("rollback")
        eventually(lambda: len(client.since(service.record()["finished"])) > 100, 120)
    record = service.record()
    service.check("v1", client, may_lose=True)
    split = seen.when(lambda now: name in now.backends)
    crashed = seen.when(lambda now: name in now.backends and not now.ready.get(name), after=split)
    off = seen.when(lambda now: name not in now.backends, after=crashed)
    assert off < seen.when(lambda now: now.replicas.get(name) == 0, after=crashed)
    assert seen.told(off) - seen.told(crashed) < SOON, "at once, and not when the stage of ten minutes is over"
    back = record["timeline"][-1]
    assert [one for one in client.since(back["at"] + back["settled_after"] + MOMENT) if one.failed] == []
    first = min(one.sent for one in client.answered_by("crashing"))
    assert [one for one in client.failed() if one.sent < first - 1] == [], "before the candidate had users"


def test_a_candidate_that_is_deleted_by_hand_stays_until_its_traffic_has_left(service):
    service.deploy_version("deleted")
    service.await_version("deleted")
    name, steps = service.version("deleted"), Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="50@10m", candidate=candidate(service, "deleted"), primary_policy="keep")
        steps.ready()
        ramp = steps.start("ramp")
        eventually(lambda: len(client.answered_by("deleted")) > 50 or ramp.poll() is not None, 180)
        kubectl("delete", f"deployment/{name}", f"service/{name}", "-n", service.namespace, "--wait=false")
        out, said = ramp.communicate(timeout=180)
        assert ramp.returncode == 0, said
        assert '"rollback"' in out
        steps.run("rollback")
        eventually(lambda: get(service.namespace, f"deployment/{name}") is None, 180)
    service.check("v1", client)
    assert client.failed() == []
    assert seen.without_endpoints() == []
    assert get(service.namespace, f"service/{name}") is None


def test_three_releases_in_a_row_send_nobody_to_a_version_of_an_earlier_one(service):
    """v2 is promoted, v3 rolled back, v1 promoted again."""
    steps, at = Steps(service), f"deployment/{service.namespace}/"
    with service.client(rate=30) as client:
        for old, new, end, stable in (
            ("v1", "v2", "promote", "v2"),
            ("v2", "v3", "rollback", "v2"),
            ("v2", "v1", "promote", "v1"),
        ):
            versions = {
                "primary": f"{old}={at}{service.version(old)}",
                "candidate": f"{new}={at}{service.version(new)}",
            }
            began = time.time()
            steps.begin(stages="20@5s", **versions, **KEPT)
            steps.run("set-weights", stage="0")
            steps.run(end, drain="0s", unassessed="true" if end == "promote" else "")
            record = service.record()
            back = record["timeline"][-1]
            served = back["at"] + back["settled_after"]
            eventually(lambda served=served: len(client.since(served)) > 30, 120)
            late = [one for one in client.since(served) if one.version != stable]
            assert len(late) <= 3, f"after {record['outcome']} of {new}"
            assert {one.version for one in client.records if began < one.sent < back["at"]} <= {old, new}
            service.check(stable, client)
    assert client.failed() == []


@pytest.mark.parametrize(
    ("strategy", "new", "stages", "shares"),
    [
        ("canary", "v2", "20@5s,50@5s", (80, 20)),
        ("blue-green", "v3", "100@5s", (0, 100)),
        ("mirror", "v2", "mirror:50@5s,20@5s", (100, 0)),
    ],
)
def test_a_step_that_was_killed_after_its_write_is_done_again_and_counts_once(service, strategy, new, stages, shares):
    """The blue-green has a candidate of its own, which would not be taken for idle after it."""
    service.new = new
    steps = Steps(service)
    with service.client() as client:
        steps.begin(strategy=strategy, stages=stages, **KEPT)
        first = steps.start("set-weights", stage="0", confirm_requests="100000", confirm_timeout="10s")
        eventually(lambda: service.candidate in service.reached(), 180)
        first.kill()
        first.communicate()
        assert service.record()["timeline"] == [], "it was killed before it could write down what it had done"
        for _ in range(2):
            steps.run("set-weights", stage="0")
        record = service.record()
        assert [change["stage"] for change in record["timeline"]] == [0]
        assert record["stage"] == 0
        weights = service.weights()
        assert tuple(weights.get(name, 0) for name in (service.primary, service.candidate)) == shares
        assert service.candidate in service.reached()
        assert "set-weights" in {event["step"] for event in record["events"]}, "that it was done again is told"
        assert steps.run("ensure-safe").told["action"] == "restored"
    service.check("v1", client)
    assert client.failed() == []


@pytest.mark.parametrize("step", ["wait-for-ready", "ramp", "load-test"])
def test_what_waits_ends_as_soon_as_it_is_told(service, step):
    steps = Steps(service)
    with service.client() as client:
        if step == "wait-for-ready":
            service.deploy_version("never", "never-ready")
            steps.begin(candidate=candidate(service, "never"), **KEPT)
            running = steps.start(step, timeout="10m")
        elif step == "ramp":
            steps.begin(stages="20@10m", **KEPT)
            running = steps.start(step)
            eventually(lambda: service.candidate in service.weights(), 180)
        else:
            steps.begin(**KEPT)
            url, host = f"{service.address}{client.path}", f"host: {service.host}"
            running = steps.start(step, record="", url=url, header=host, payload=BODY, duration="10m")
        assert running.stderr is not None
        running.stderr.readline()  # it is under way
        told = time.monotonic()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=180)
        assert (running.returncode, time.monotonic() - told < SOON) == (143, True)
        assert steps.run("ensure-safe").told["action"] == "restored"
    service.check("v1", client)
    assert client.failed() == []
