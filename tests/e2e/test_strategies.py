"""Covers: how traffic may meet a candidate besides a rising weight — testers alone first, copies of requests first, and all of
the traffic at once with the primary kept for the way back —, each with a client that has every request answered.

Leaves out: the weights in between (test_run.py), bad candidates of a plain canary (test_demo.py).
"""

import json

import pytest

from fairway_workflows.demo.play import PAYLOAD
from fairway_workflows.demo.servers import free_ports, model_servers
from servers import MODEL

pytestmark = pytest.mark.local


def released(place, **changed):
    run = place.fairway("run", str(place.release(**changed)), "--output=json")
    assert run.stdout, run.stderr
    return run, json.loads(run.stdout)


@pytest.mark.carries("canary, testers first", "Envoy (files)")
def test_testers_meet_the_candidate_before_any_user_does(place):
    testers = place.start(
        *("load-test", f"--url={place.address}/v2/models/{MODEL}/infer", "--rate=30", "--duration=60s"),
        *(f"--payload={PAYLOAD}", "--header=x-canary: always"),
    )
    run, told = released(place, stages="header:x-canary=always@3s,50@2s")
    testers.terminate()
    testers.communicate(timeout=120)
    assert run.returncode == 0, run.stderr
    first, second = told["stages"]
    assert first["asked"] == {"v1": 100}
    assert first["samples"]["v2"] >= 10
    assert second["asked"] == {"v1": 50, "v2": 50}
    assert (told["outcome"], told["lost"], told["failed"]) == ("promoted", 0, {"v1": {}, "v2": {}})


@pytest.mark.carries("mirror", "Envoy (files)")
def test_copies_are_judged_and_users_are_answered_by_the_primary_alone(place):
    run, told = released(place, stages="mirror:100@3s,50@2s")
    assert run.returncode == 0, run.stderr
    first, second = told["stages"]
    assert first["asked"] == {"v1": 100}
    assert first["measured"]["v1"] == 1
    assert first["samples"]["v2"] >= 10
    assert second["asked"] == {"v1": 50, "v2": 50}
    assert (told["outcome"], told["lost"], told["failed"]) == ("promoted", 0, {"v1": {}, "v2": {}})


@pytest.mark.carries("blue-green", "Envoy (files)")
def test_all_at_once_is_judged_too_and_then_promoted(place):
    run, told = released(place, stages="100@3s")
    assert run.returncode == 0, run.stderr
    (only,) = told["stages"]
    assert (only["asked"], only["verdict"]) == ({"v2": 100}, "promote")
    assert (told["outcome"], told["lost"], told["failed"]) == ("promoted", 0, {"v1": {}, "v2": {}})


def test_all_at_once_goes_back_at_once(place, tmp_path):
    (tmp_path / "failing").mkdir()
    (port,) = free_ports(1)
    with model_servers(tmp_path / "failing", {"v2": "failing"}, {"v2": port}) as servers:
        limit = [{"metric": "error-rate", "limit": "1%", "min-requests": 10}]
        run, told = released(place, stages="100@20s", slos=limit, candidate=f"v2={servers['v2'].uri}")
        assert (run.returncode, told["outcome"], told["lost"]) == (1, "rolled-back", 0), run.stderr
        assert told["stages"][0]["asked"] == {"v2": 100}
        assert set(told["failed"]["v2"]) == {"http-500"}
        assert place.weights() == {"v1": 100}
