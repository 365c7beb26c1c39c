"""A record that cannot be parsed: what is still told of it, and where the traffic of which state of a route then goes.

Left out: where stores keep what remains (tests/contract/test_record_store.py), the command (cli/test_ensure_safe.py).
"""

import json

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.codec import encode
from fairway_steps.errors import DomainError, Fenced
from fairway_steps.model import HeaderMatch, Mirror, Outcome, Promotion, Routes, Stage, Version
from fairway_steps.record import written
from fairway_steps.remains import give_back, remains
from fakes_routing import FakeRouter, Stored
from records import record

V1, V2, V3 = (Version(f"v{n}", f"http://127.0.0.1:800{n}") for n in (1, 2, 3))
SPLIT = Routes({"v1": 50, "v2": 50}, (HeaderMatch("x-t", "1", "v2"),), Mirror("v2", 5))


def text(**fields):
    return written(encode(record(**fields)))


def before(field, whole):
    """What is left of a file that breaks off at this field."""
    return whole[: whole.index(f' "{field}": ')]


@pytest.mark.parametrize(
    "left",
    [
        json.dumps({"format": 99, "new": 1} | {k: v for k, v in encode(record()).items() if k != "format"}),
        text().replace('"format": 1', '"format": 99'),
        text().replace('"stage": -1', '"stage": "'),
        text()[:-3],
        "\ufffd\n" + text(),
    ],
    ids=["another Fairway's", "its format", "spoilt within", "broken off", "not JSON"],
)
def test_what_stands_in_a_record_that_cannot_be_parsed_is_read(left):
    found = remains(left)
    assert (found.service, found.route, found.versions, found.holder) == ("iris", "envoy:route", (V1, V2), "test")
    assert (found.stable, found.promoted) == (V1, False)


@pytest.mark.parametrize("left", ["", "[]", "7", "null", "{}", "\0", before("primary", text()), "[" * 100_000])
def test_nothing_is_made_up(left):
    assert remains(left) is None


def test_rivals_and_collectors_are_told_for_the_route_may_point_at_them():
    stages = (Stage(0, 5.0, mirror=5, through="http://127.0.0.1:9"), Stage(0, 5.0))
    found = remains(text(rivals=(V3,), stages=stages)[:-3])
    assert found.versions == (V1, V2, V3)
    assert found.beside == (Version("collector", "http://127.0.0.1:9"),)


@pytest.mark.parametrize(
    ("left", "routes", "action", "stable"),
    [
        (text(), SPLIT, "restored", "v1"),
        (text(), Routes({"v2": 100}), "restored", "v1"),
        (text(), Routes({"v1": 100}), "confirmed", "v1"),
        (text(outcome=Outcome.HELD), SPLIT, "restored", "v1"),
        (text(outcome=Outcome.PROMOTED), Routes({"v2": 100}), "confirmed", "v2"),
        (text(outcome=Outcome.PROMOTED), SPLIT, "restored", "v2"),
        (text(outcome=Outcome.PROMOTED, promotion=Promotion.COPY), SPLIT, "restored", "v1"),
        (text(outcome=Outcome.PROMOTED, rivals=(V3,)), Routes({"v3": 100}), "confirmed", "v3"),
        (before("outcome", text()), SPLIT, "restored", "v1"),
        (before("outcome", text()), Routes({"v1": 100}), "confirmed", "v1"),
    ],
)
def test_the_traffic_goes_where_it_belongs(left, routes, action, stable):
    router = FakeRouter(Stored(routes, fence=1))
    done, version = give_back(remains(left), router, FakeClock())
    assert (done, version.name, router.read()) == (action, stable, Routes({stable: 100}))


def test_a_route_that_another_release_has_claimed_since_is_left_to_that_one():
    router = FakeRouter(Stored(SPLIT, fence=2))
    with pytest.raises(Fenced, match="the route is now of another release"):
        give_back(remains(text()), router, FakeClock())
    assert router.read() == SPLIT


def test_a_route_that_cannot_be_read_either_goes_back():
    router = FakeRouter(Stored(SPLIT, unknown="x"))
    assert give_back(remains(text()), router, FakeClock()) == ("restored", V1)
    assert router.read() == Routes({"v1": 100})


@pytest.mark.parametrize(
    ("left", "routes"),
    [
        (before("outcome", text()), Routes({"v2": 100})),
        (text(outcome=Outcome.PROMOTED, rivals=(V3,)), SPLIT),
    ],
)
def test_where_it_cannot_be_told_whose_the_traffic_is_nothing_is_moved(left, routes):
    router = FakeRouter(Stored(routes))
    with pytest.raises(DomainError, match="does not tell which version the traffic of iris belongs to") as refused:
        give_back(remains(left), router, FakeClock())
    assert "--service iris --route envoy:route --primary v1=http://127.0.0.1:8001" in refused.value.mend
    assert router.read() == routes
