"""Covers: whose the traffic is after a run whose record is gone or spoilt, by what its own steps said before.

Left out: the run itself, without its record in a stage (tests/e2e/test_interrupted.py).
"""

from types import SimpleNamespace

import pytest

from fairway_steps.model import Routes, Version
from fairway_workflows import lost_record
from fairway_workflows.local import Node, NodeType, Phase, WorkflowResult
from fakes_routing import FakeRouter, Stored

SPEC = SimpleNamespace(
    service="iris", primary=Version("v1", "http://127.0.0.1:1"), candidates=(Version("v2", "http://127.0.0.1:2"),)
)
BEGUN = ("begin", Phase.SUCCEEDED, {"token": "3"})
PROMOTED = ("promote", Phase.SUCCEEDED, {"action": "promoted", "stable-version": "v2"})
UNTOLD = ("ensure-safe", Phase.FAILED, {"action": "none"})
HALF, OLD, NEW = Routes({"v1": 50, "v2": 50}), Routes({"v1": 100}), Routes({"v2": 100})


def ended(*steps):
    made = [
        Node(f"id-{i}", name, name, NodeType.POD, phase, outputs=outputs)
        for i, (name, phase, outputs) in enumerate(steps)
    ]
    entry = Node("main", "main", "main", NodeType.STEPS, Phase.SUCCEEDED, children=tuple(made))
    return WorkflowResult("release", "uid", Phase.FAILED, "", entry, None, "", 0.0, 1.0)


@pytest.fixture
def stored(monkeypatch):
    stored = Stored(HALF, fence=3)
    monkeypatch.setattr(lost_record, "router", lambda *_: FakeRouter(stored))
    return stored


def said(stored, routes, *steps):
    stored.routes = routes
    return lost_record.without_record(SPEC, "envoy:route", ended(BEGUN, *steps), "its record is spoilt")


@pytest.mark.parametrize(
    ("routes", "steps", "then", "told"),
    [
        (HALF, [UNTOLD], OLD, "all traffic is back on v1"),
        (HALF, [], OLD, "all traffic is back on v1"),
        (NEW, [PROMOTED, UNTOLD], NEW, "all traffic is on v2"),
        (HALF, [PROMOTED, UNTOLD], NEW, "all traffic is on v2"),
        (NEW, [("ensure-safe", Phase.SUCCEEDED, {"action": "confirmed"})], NEW, "all traffic is on v2"),
        (OLD, [("ensure-safe", Phase.SUCCEEDED, {"action": "restored"})], OLD, "all traffic is back on v1"),
        (HALF, [("ensure-safe", Phase.SUCCEEDED, {"action": "none"})], OLD, "all traffic is back on v1"),
        (HALF, [(*PROMOTED[:1], Phase.FAILED, PROMOTED[2]), UNTOLD], OLD, "all traffic is back on v1"),
    ],
)
def test_what_ensure_safe_made_sure_of_counts_and_a_promoted_release_is_not_taken_back(
    stored, routes, steps, then, told
):
    assert said(stored, routes, *steps) == f"its record is spoilt; {told}"
    assert stored.routes == then


def test_a_route_that_another_release_has_by_now_is_left_to_it(stored):
    stored.fence = 4
    assert said(stored, HALF, UNTOLD).endswith(
        "whose the traffic is could not be made sure of: a newer holder owns the route"
    )
    assert stored.routes == HALF


def test_a_split_that_ensure_safe_confirms_is_told_as_it_is(stored):
    told = said(stored, HALF, ("ensure-safe", Phase.SUCCEEDED, {"action": "confirmed"}))
    assert told == "its record is spoilt; the route holds v1 50 %, v2 50 %"
