"""One process or several carry out the same plan: who sends what, what is counted meanwhile, how it ends.

Left out: the engine (test_engine.py), signals (cli/test_load_test.py), how much several send (bench/load_test.py).
"""

import asyncio
import json

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError
from fairway_steps.loadtest.crew import Crew, Here, Task, enough_workers
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.loops import fastest, run_in_loop
from fairway_steps.loadtest.measured import combined, measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import closed, constant, poisson
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.several import Several
from fairway_steps.loadtest.tally import Count
from load_records import Broken, Dying
from raw_server import OK, always, serving


def task(url: str, plan, **fields) -> Task:
    return Task(Request(url, "POST"), plan, **fields)


def carry_out(workers: int, *tasks: Task, act=None, factory=None):
    """The records, and the last news."""

    async def main():
        crew: Crew = Here(tasks, SystemClock()) if workers == 1 else Several(tasks, workers)
        acting = asyncio.create_task(act(crew)) if act else None
        shares = await crew.result()
        if acting:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
        return shares, crew.news()

    return run_in_loop(main(), factory)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_each_arrival_is_sent_once_with_its_own_payload(workers: int):
    bodies = tuple(json.dumps(i).encode() for i in range(40))
    plan = poisson(400, 5, requests=40)
    with serving(always(OK)) as server:
        shares, news = carry_out(workers, task(server.url, plan, payloads=Payloads(bodies), limits=(60.0,)))
        sent = sorted(int(request.partition(b"\r\n\r\n")[2]) for request in server.requests)
    assert sent == list(range(40))
    assert [len(records.offsets) for (records_of) in shares for records in records_of] == [
        len(range(worker, 40, workers)) for worker in range(workers)
    ]
    result = measured(shares[0])
    assert list(result.scheduled_ns) == list(plan.offsets)
    assert (result.failures, result.meta.workers) == ({}, workers)
    assert news.counts == {"": Count(40, 0, [0], [0])}
    assert (news.progress[0].planned, news.progress[0].ended) == (40, 40)


def test_more_processes_than_requests_or_connections():
    with serving(always(OK)) as server:
        shares, _ = carry_out(3, task(server.url, constant(50, requests=2), settings=Settings(connections=2)))
    result = measured(shares[0])
    assert (len(result), result.failures) == (2, {})


@pytest.mark.parametrize("workers", [1, 2])
def test_several_endpoints_at_once_are_one_result(workers: int):
    with serving(always(OK)) as one, serving(always(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n")) as other:
        tasks = [
            task(one.url, constant(50, requests=10), version="v1"),
            task(other.url, constant(25, requests=5), version="v2"),
        ]
        shares, _ = carry_out(workers, *tasks)
    parts = [measured(share, version=version) for share, version in zip(shares, ("v1", "v2"), strict=True)]
    whole = combined({"a": parts[0], "b": parts[1]})
    assert whole.meta.endpoint_names == ("a", "b")
    assert whole.versions == {"v1": 10, "v2": 5}
    assert whole.failures_by_version == {"v2": {"http-500": 5}}
    assert list(whole.scheduled_ns) == sorted(whole.scheduled_ns)
    assert [len(whole.part(0)), len(whole.part(1))] == [10, 5]
    assert whole.meta.rate == 75


@pytest.mark.parametrize("workers", [1, 2])
def test_a_closed_loop_sends_when_it_was_answered(workers: int):
    async def answering(number, writer):
        await asyncio.sleep(0.01)
        writer.write(OK)

    with serving(answering) as server:
        plan = closed(4, requests=60)
        shares, _ = carry_out(workers, task(server.url, plan, settings=Settings(connections=4)))
        connections = server.connections
    result = measured(shares[0])
    assert (len(result), result.failures, result.meta.closed_loop, result.meta.rate) == (60, {}, True, None)
    assert connections <= 4
    assert all(result.response >= 10_000_000)


def test_a_closed_loop_that_may_record_no_more_says_that_it_stopped(monkeypatch):
    monkeypatch.setattr("fairway_steps.loadtest.closed_loop.MAX_REQUESTS", 5)
    with serving(always(OK)) as server:
        shares, _ = carry_out(1, task(server.url, closed(2, seconds=60.0)))
    result = measured(shares[0])
    assert (len(result), result.meta.stopped) == (5, True)


def test_a_closed_loop_that_cannot_connect_ends(unused_port: int):
    shares, _ = carry_out(1, task(f"http://127.0.0.1:{unused_port}", closed(3, requests=10)))
    assert measured(shares[0]).failures == {"connect": 10}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("word", ["stop", "enough"])
def test_an_end_before_the_plans(workers: int, word: str):
    """``stop`` gives up what is under way; ``enough`` waits for it, so that slow answers are not lost."""
    begun = asyncio.Event()

    async def answering(number, writer):
        if number == 4:
            begun.set()
        await asyncio.sleep(0.3)
        writer.write(OK)

    async def act(crew: Crew):
        while crew.news().progress[0].ended < 3:  # noqa: ASYNC110 - another process' state
            await asyncio.sleep(0.02)
        getattr(crew, word)()

    with serving(answering) as server:
        shares, _ = carry_out(workers, task(server.url, constant(20, requests=5000)), act=act)
        seen = len(server.requests)
    result = measured(shares[0])
    assert result.meta.stopped
    assert 3 <= seen <= len(result) + 2 < 4000
    assert set(result.failures) <= ({"cancelled"} if word == "stop" else set())


def test_a_fault_in_a_process_is_raised_and_no_process_is_left():
    with pytest.raises(RuntimeError, match="nobody knows why"):
        carry_out(2, Task(Broken(), constant(10, requests=2)))
    with pytest.raises(DomainError, match="ended before its work did"):
        carry_out(2, Task(Dying(), constant(10, requests=2)))


def test_it_runs_on_either_loop():
    for factory in filter(None, (asyncio.new_event_loop, fastest())):
        with serving(always(OK)) as server:
            shares, _ = carry_out(1, task(server.url, constant(100, requests=10)), factory=factory)
        assert measured(shares[0]).failures == {}


@pytest.mark.parametrize(
    ("rate", "connections", "cores", "workers"), [(10, 64, 8, 1), (9000, 64, 8, 3), (9000, 64, 2, 2), (9000, 1, 8, 1)]
)
def test_as_many_processes_as_the_rate_needs(rate: float, connections: int, cores: int, workers: int):
    one = task("http://x/", constant(rate, requests=10), settings=Settings(connections=connections))
    assert enough_workers([one], cores) == workers
