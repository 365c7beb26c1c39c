"""Covers: one long watch over many short ones: where it goes on, what it does at 410, at errors, at the end.

Leaves out: the real stream (tests/contract/test_cluster.py).
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.cluster.watching import follow
from fairway_steps.errors import TransientError


def item(name, version, **more):
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version)}, **more}


class Api:
    """Lists and streams from scripts; a stream's script is a list of events, or an exception."""

    def __init__(self, clock, pages, streams):
        self.clock, self.pages, self.streams, self.since = clock, list(pages), list(streams), []

    def page(self):
        found = self.pages.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def stream(self, since, seconds):
        self.since.append(since)
        script = self.streams.pop(0) if self.streams else []
        for event in script:
            if isinstance(event, Exception):
                raise event
            yield event
        self.clock.sleep(seconds)

    def follow(self, timeout):
        return [[i["metadata"]["name"] for i in now] for now in follow(self.page, self.stream, self.clock, timeout)]


def page(version, *items):
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


@pytest.fixture
def clock():
    return FakeClock()


def test_changes_are_told_and_bookmarks_only_move_on(clock):
    first = [
        {"type": "ADDED", "object": item("b", 6)},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
    ]
    second = [{"type": "MODIFIED", "object": item("b", 11)}, {"type": "DELETED", "object": item("a", 12)}]
    api = Api(clock, [page(5, item("a", 1))], [first, second])
    assert api.follow(300) == [["a"], ["a", "b"], ["a", "b"], ["b"]]
    assert api.since == ["5", "9"]


@pytest.mark.parametrize("code", [410])
def test_a_place_that_is_gone_is_listed_anew(clock, code):
    gone = [{"type": "ERROR", "object": {"code": code, "message": "too old resource version"}}]
    api = Api(clock, [page(5, item("a", 1)), page(50, item("c", 40))], [gone, []])
    assert api.follow(30) == [["a"], ["c"]]
    assert api.since == ["5", "50"]


def test_another_error_goes_on_from_the_same_place(clock):
    failed = [{"type": "ERROR", "object": {"code": 500, "message": "oops"}}]
    api = Api(clock, [page(5)], [failed, [{"type": "ADDED", "object": item("a", 6)}]])
    assert api.follow(30) == [[], ["a"]]
    assert api.since == ["5", "5"]


def test_an_interruption_that_lasts_is_transient_only_at_the_end(clock):
    api = Api(clock, [page(5, item("a", 1))], [[TransientError("away")]] * 100)
    seen = []
    with pytest.raises(TransientError, match="could not be taken up again: away"):
        seen.extend(follow(api.page, api.stream, clock, 20))
    assert len(seen) == 1
    assert len(api.since) < 12, "it pauses longer each time"


def test_a_server_that_comes_back_in_time_is_forgiven(clock):
    api = Api(clock, [TransientError("away"), page(5, item("a", 1))], [])
    assert api.follow(30) == [["a"]]


def test_it_ends_in_time(clock):
    began = clock.now()
    Api(clock, [page(5)], []).follow(500)
    assert 500 <= clock.now() - began < 502
