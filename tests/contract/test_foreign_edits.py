"""A person's hands on a route in the middle of a stage, over the cluster in memory and over a real API server: their weights are put
right, their timeout and their filter stay, also after the end; the order of their rules is theirs. And why a route is patched, and not applied.

Left out: who wrote (test_claims.py), the third time (tests/steps/test_drift.py), real traffic (tests/e2e/cluster).
"""

import json

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.drift import Drift
from fairway_steps.errors import Conflict
from fairway_steps.model import Mirror, Outcome, Routes, Stage
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import ensure_safe, promote, rollback, withdraw
from fairway_steps.weights import Confirmation, enter_stage
from fakes_gateway import GatewayLab
from records import record
from route_worlds import NAMES, world_of

KINDS = ("httproute", "grpcroute", "virtualservice")
FIRST, SECOND, _ = NAMES
WAYS = {
    "canary": (Stage(20, 5.0), Routes({FIRST: 80, SECOND: 20})),
    "blue-green": (Stage(100, 5.0), Routes({SECOND: 100})),
    "mirror": (Stage(0, 5.0, mirror=50), Routes({FIRST: 100}, mirror=Mirror(SECOND, 50))),
}
CONFIRM = Confirmation(settle=10.0, requests=0, wait=0.0)


@pytest.fixture(params=[*KINDS, *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in KINDS)])
def world(request, tmp_path):
    with world_of(request.param, tmp_path, request.getfixturevalue) as made:
        yield made


def edit(world, rules):
    """Half and half where there are weights, a timeout, a filter or header, and a rule of theirs in front; what of it is nobody's but theirs."""
    field = world.router().part[0]
    istio = field == "http"
    for rule in rules:
        backends = rule.get("route" if istio else "backendRefs") or []
        for backend in backends if len(backends) > 1 else ():
            backend["weight"] = 50
    if istio:
        rules[-1] |= {"timeout": "9s", "retries": {"attempts": 3}, "headers": {"request": {"add": {"x-late": "1"}}}}
    else:
        late = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x-late", "value": "1"}]}}
        rules[-1]["filters"] = [*rules[-1].get("filters", []), late]
    first = json.loads(json.dumps(rules[1]).replace("other", "new"))
    world.lab.edit({"spec": {field: [first, *rules]}})
    return world.foreign()


@pytest.mark.parametrize("end", ["promoted", "rolled back"])
@pytest.mark.parametrize("strategy", WAYS)
def test_weights_are_put_right_and_the_rest_of_an_edit_stays(world, tmp_path, end, strategy):
    """In a blue-green and a mirror, they put the rules back as those were before the release."""
    stage, asked = WAYS[strategy]
    before = world.lab.rules()
    v1, v2 = (world.known[name] for name in (FIRST, SECOND))
    store, lease, clock = FileStore(tmp_path / "record.json"), Lease("iris-1", 1), SystemClock()
    begun = {"primary": v1, "candidate": v2, "stages": (stage,), "original": world.router().snapshot()}
    store.update(lambda _: record(**begun))
    enter_stage(store, lease, world.router(), clock, index=0, confirm=CONFIRM)
    theirs = edit(world, world.lab.rules() if strategy == "canary" else before)
    taken = {FIRST: 50, SECOND: 50} if strategy == "canary" else {FIRST: 100}
    assert world.router().read() == Routes(taken)
    Drift(store, lease, world.router(), clock)()
    assert world.router().read() == asked
    assert world.foreign() == theirs
    if end == "promoted":
        promote(store, lease, world.router(), clock, alive=lambda: "", confirm=CONFIRM)
    else:
        back = Outcome.ROLLED_BACK
        rollback(store, lease, world.router(), clock, outcome=back, reason="", confirm=CONFIRM)
    assert world.router().read() == Routes({SECOND if end == "promoted" else FIRST: 100})
    assert world.foreign() == theirs


@pytest.mark.parametrize("way", ["rollback", "withdraw", "ensure-safe"])
@pytest.mark.parametrize("strategy", WAYS)
def test_a_rule_that_was_copied_in_a_stage_goes_back_to_the_primary_with_the_others(world, tmp_path, strategy, way):
    """With its share of the candidate, or its mirror to it; what else they wrote in the copy stays."""
    stage, _ = WAYS[strategy]
    v1, v2 = (world.known[name] for name in (FIRST, SECOND))
    store, lease, clock = FileStore(tmp_path / "record.json"), Lease("iris-1", 1), SystemClock()
    begun = {"primary": v1, "candidate": v2, "stages": (stage,), "original": world.router().snapshot()}
    store.update(lambda _: record(**begun))
    enter_stage(store, lease, world.router(), clock, index=0, confirm=CONFIRM)
    field = world.router().part[0]
    rules = world.lab.rules()
    copied = json.loads(
        json.dumps(next(rule for rule in rules if not str(rule.get("name", "")).startswith("fairway-")))
    )
    copied["name"] = "theirs"
    world.lab.edit({"spec": {field: [copied, *rules]}})
    theirs = world.foreign()
    Drift(store, lease, world.router(), clock)()
    if way == "rollback":
        rollback(store, lease, world.router(), clock, outcome=Outcome.ROLLED_BACK, reason="", confirm=CONFIRM)
    elif way == "withdraw":
        withdraw(store, lease, world.router(), clock, confirm=CONFIRM)
    else:
        ensure_safe(store, world.router(), clock, holder="a person")
    assert world.router().read() == Routes({FIRST: 100})
    assert world.lab.rules()[0]["name"] == "theirs"
    assert world.foreign() == theirs


def test_somebody_elses_backend_of_weight_zero_stays_all_the_way_and_back(world):
    field = world.router().part[0]
    backends = "route" if field == "http" else "backendRefs"
    rules = world.lab.rules()
    dark = json.loads(json.dumps(rules[0][backends][0]).replace(f"{world.lab.services[FIRST]}", "dr-site")) | {
        "weight": 0
    }
    rules[0][backends] = [dark, rules[0][backends][0] | {"weight": 100}]
    world.lab.edit({"spec": {field: rules}})
    router, before = world.router(), world.lab.rules()
    saved = router.snapshot()
    router.apply(WAYS["canary"][1], world.known)
    assert dark in world.lab.rules()[0][backends]
    router.restore(saved)
    assert world.lab.rules() == before


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["httproute", "grpcroute"])
def test_server_side_apply_would_own_all_rules_of_a_route_or_none(gateway_api, kind):
    """The rules are one atomic list: whoever applies the backends of one takes away what is not applied with them."""
    lab = GatewayLab(gateway_api, kind)
    try:
        ours = {"spec": {"rules": [{"backendRefs": lab.stored()["spec"]["rules"][0]["backendRefs"]}]}}
        with pytest.raises(Conflict, match=r"\.spec\.rules"):
            gateway_api.apply(lab.ref, ours)
        (left,) = gateway_api.apply(lab.ref, ours, force=True, dry_run=True)["spec"]["rules"]
        assert "filters" not in left
    finally:
        lab.close()
