"""The engine alone, over connections that are simulated in its own event loop: when it sends, what it counts, how it ends.

Left out: HTTP (test_http.py), and how exact the moments are (bench/load_test.py): tests here count and order, they do
not measure.
"""

import asyncio
import threading
import time
from array import array
from types import SimpleNamespace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.loadtest import open_loop
from fairway_steps.loadtest.client import Answer, ConnectionFailed
from fairway_steps.loadtest.engine import Run, run
from fairway_steps.loadtest.lateness import patience
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.plan import SECOND, Plan, WarmUp, closed, constant, poisson
from fairway_steps.loadtest.pulse import Pulse
from fairway_steps.loadtest.records import MAX_VERSIONS, Records
from fairway_steps.loadtest.settings import Progress, Settings

OK = Answer(200, "", reusable=True)


class Simulated:
    """A client whose connections answer request ``i`` with ``answers(i)``: (seconds, Answer), or None for never."""

    def __init__(self, answers=lambda i: (0.0, OK), *, opening=0.0, dead=frozenset()):
        self.answers, self.opening, self.dead = answers, opening, dead
        self.sent: list[tuple[int, int]] = []  # (connection, request)
        self.opened = self.aborted = self.closed = 0

    async def close(self):
        self.closed += 1

    def cpu_ns(self):
        return time.thread_time_ns()

    async def connect(self, done):
        number = self.opened
        self.opened += 1
        await asyncio.sleep(self.opening)
        return _Connection(self, number, done)


class _Connection:
    def __init__(self, client, number, done):
        self.client, self.number, self.done = client, number, done
        self.timer = None

    def send(self, index):
        if (self.number, index) in self.client.dead:
            return False
        self.client.sent.append((self.number, index))
        if (answer := self.client.answers(index)) is not None:
            self.timer = asyncio.get_running_loop().call_later(answer[0], self.done, self, index, *(*answer[1:], 0)[:2])
        return True

    def abort(self):
        self.client.aborted += 1
        if self.timer:
            self.timer.cancel()


def carry_out(plan: Plan, client: Simulated, settings: Settings = Settings(), **options) -> Records:  # noqa: B008
    return asyncio.run(run(plan, client, settings, clock=FakeClock(), **options))


def errors(records: Records) -> list[str]:
    return [end.error for end in records.ends]


def sent(records: Records) -> list[float]:
    """Nanoseconds since the start, None for what was not sent."""
    return [due + slip if slip >= 0 else None for due, slip in zip(records.offsets, records.slip, strict=True)]


def ended(records: Records) -> list[float]:
    return [due + took if took >= 0 else None for due, took in zip(records.offsets, records.took, strict=True)]


@pytest.mark.parametrize(
    "plan", [constant(500, requests=100), poisson(500, 3, requests=100)], ids=["constant", "poisson"]
)
def test_each_request_is_sent_once_and_never_early(plan: Plan):
    client = Simulated(lambda i: (0.01 * (i % 3), OK))
    records = carry_out(plan, client)
    assert sorted(i for _, i in client.sent) == list(range(100))
    assert all(slip >= 0 for slip in records.slip)
    assert all(
        took - slip >= 0.01 * (i % 3) * SECOND
        for i, (took, slip) in enumerate(zip(records.took, records.slip, strict=True))
    )
    assert (records.due, records.stopped, set(errors(records))) == (100, False, {""})


def test_requests_do_not_wait_for_one_another():
    client = Simulated(lambda i: (0.3, OK))
    records = carry_out(constant(200, requests=20), client)
    assert max(sent(records)) < min(ended(records))
    assert (client.opened, records.connections, records.backlog) == (20, 20, 0)


def test_who_watches_is_told_how_late_a_request_was_sent_or_read():
    """Two of the three wait for the only connection; when the third is answered, the loop is held up once."""
    told = {}

    def answers(index):
        if index == 2:
            asyncio.get_running_loop().call_later(0.05, time.sleep, 0.06)
        return 0.1, OK

    async def carry_out_watched():
        watching = SimpleNamespace(ended=lambda index, took, answer, late: told.update({index: late}))
        plan, settings = Plan(array("q", [0] * 3), 1), Settings(connections=1)
        return await Run(plan, Simulated(answers), settings, clock=FakeClock(), observer=watching).result()

    slip = [round(each) for each in asyncio.run(carry_out_watched()).slip]
    assert told[0] >= slip[0]
    assert told[1] >= slip[1] >= 0.1 * SECOND
    assert told[2] >= slip[2] + 0.03 * SECOND


def test_the_connection_used_last_is_used_first():
    # Requests 0 and 1 overlap; 1 ends last, so its connection is on top when the far later 2 and 3 come.
    client = Simulated(lambda i: (0.15, OK))
    carry_out(Plan(array("q", [0, 5_000_000, 400_000_000, 800_000_000]), 1), client)
    assert client.sent == [(0, 0), (1, 1), (1, 2), (1, 3)]


def test_requests_beyond_the_connections_wait_in_order_and_none_is_dropped():
    client = Simulated(lambda i: (0.02, OK))
    records = carry_out(constant(1000, requests=30), client, Settings(connections=2))
    assert [i for _, i in client.sent] == list(range(30))
    assert (client.opened, set(errors(records))) == (2, {""})
    assert records.backlog >= 10
    assert records.took[29] >= 0.2 * SECOND  # it waited for 14 pairs of 20 ms before it


def test_what_has_no_answer_in_time_has_failed_and_its_connection_with_it():
    client = Simulated(lambda i: None if i % 2 else (0.0, OK))
    records = carry_out(constant(200, requests=6), client, Settings(timeout=0.1))
    assert errors(records) == ["", "timeout"] * 3
    assert all(took >= 0.1 * SECOND for took in records.took[1::2])
    assert client.aborted == client.opened  # three given up, the others closed at the end


def test_a_server_that_never_answers_does_not_hang_the_run_nor_what_waits():
    client = Simulated(lambda i: None)
    began = time.monotonic()
    plan = Plan(array("q", [0] * 100), 1)
    records = carry_out(plan, client, Settings(timeout=0.2, connections=3))
    assert errors(records) == ["timeout"] * 100
    assert time.monotonic() - began < 5  # 0.2 s, not 34 rounds of it
    assert sent(records)[3:] == [None] * 97  # they never found a connection: failed requests all the same


def test_the_duration_of_a_closed_loop_begins_after_its_warm_up():
    client = Simulated(lambda i: (0.05, OK))
    records = carry_out(closed(1, seconds=0.1, warm_up=WarmUp(requests=4)), client)
    assert len(records.took) > 4
    assert records.due < 60


def test_the_requests_of_a_closed_loop_come_after_a_warm_up_by_time():
    client = Simulated(lambda i: (0.01, OK))
    plan = closed(2, requests=20, warm_up=WarmUp(seconds=0.2))
    progress: list[Progress] = []
    records = carry_out(plan, client, progress=progress.append)
    meta = measured([records]).meta
    assert (len(measured([records])), records.stopped) == (20, False)
    assert meta.warm_up >= 2
    assert progress[-1].planned == records.due == meta.warm_up + 20


def test_a_timeout_that_a_client_saw_late_is_not_the_servers(monkeypatch):
    """The clock jumps while five requests wait for their answers, as when the process is stopped: they may have come meanwhile."""
    jump = 0
    monkeypatch.setattr(open_loop, "time", SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + jump))

    def answers(index: int):
        nonlocal jump
        jump = 100 * SECOND if index == 4 else 0

    records = carry_out(constant(1000, requests=5), Simulated(answers), Settings(timeout=0.5))
    assert errors(records) == ["cancelled"] * 5
    assert all(took < 0 <= slip for took, slip in zip(records.took, records.slip, strict=True))
    assert "it was held up when 5 of 5 requests ran out of time" in measured([records]).meta.client_limited


def test_answers_that_a_client_read_late_are_late_by_its_pause(monkeypatch):
    """All five have been sent when the clock jumps, and are answered before the next beat; the server itself took no time."""
    jump = 0
    monkeypatch.setattr(open_loop, "time", SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + jump))

    def answers(index: int):
        nonlocal jump
        jump = 2 * SECOND if index == 4 else 0
        return 0.0, OK

    result = measured([carry_out(Plan(array("q", [0] * 5), 1), Simulated(answers))], limits=[1.0])
    assert result.exceeded(1.0).all()
    assert (result.held_ns > 1.9 * SECOND).all()
    assert "5 of 5 requests were sent or their answers read more than" in result.meta.client_limited


class Beating:
    """A pulse whose clock and timers are ours, in ms."""

    def __init__(self):
        self.now, self.pauses, self.timers = 0, array("q"), []
        loop = SimpleNamespace(call_later=self.later)
        self.pulse = Pulse(loop, lambda: self.now * SECOND // 1000, self.pauses)

    def later(self, _seconds, beat):
        self.timers.append(beat)
        return SimpleNamespace(cancel=lambda: beat in self.timers and self.timers.remove(beat))

    def beat(self, at: int, planned: int = 0):
        self.now = at
        self.pulse.beat(planned * SECOND // 1000, at * SECOND // 1000)

    def wake(self, *moments: int):
        for self.now in moments:
            self.timers.pop()()

    def missed(self, since: int) -> int:
        return self.pulse.missed(since * SECOND // 1000) * 1000 // SECOND

    def close(self, at: int) -> list[int]:
        self.now = at
        self.pulse.close()
        assert not self.timers
        return [at * 1000 // SECOND for at in self.pauses]


@pytest.mark.parametrize(
    ("beats", "pauses"),
    [
        ([10, 20, 45, 60], []),
        ([10, 20, 520, 530, 540], [20, 530]),
        ([10, 520, 1020, 1030, 1040], [10, 1030]),
        ([10, 520, 530, 540, 940], [10, 530, 540, 940]),
    ],
)
@pytest.mark.parametrize("by_plan", [True, False])
def test_a_pause_lasts_from_the_last_beat_in_time_to_the_next(beats: list[int], pauses: list[int], by_plan: bool):
    """The last beat is the one of the closing; what is planned 10 ms later is as good as one, and needs no timer."""
    beating = Beating()
    beating.beat(0, 10 if by_plan else 0)
    for at in beats[:-1]:
        assert len(beating.timers) == (not by_plan)
        if by_plan:
            beating.beat(at, at + 10)
        else:
            beating.wake(at)
    assert beating.close(beats[-1]) == pauses


def test_a_client_that_waits_for_nothing_has_no_beat_and_is_never_late():
    beating = Beating()
    beating.beat(0, 5000)
    assert beating.timers
    beating.pulse.rest()
    assert not beating.timers
    beating.beat(5500, 5505)
    assert beating.missed(0) == 0
    beating.beat(5506)
    assert beating.close(5510) == []


@pytest.mark.parametrize(
    ("since", "missed"),
    [(0, 480 + 100), (300, 200 + 100), (510, 100), (700, 100), (850, 50), (900, 0)],
)
def test_what_a_pause_took_of_a_time(since: int, missed: int):
    """One pause from 20 to 500, and from 800 on nothing was heard; it is 900 now."""
    beating = Beating()
    beating.beat(0)
    beating.wake(10, 20, 490, 500, *range(510, 801, 10))
    beating.now = 900
    assert beating.missed(since) == missed


def test_a_pause_that_goes_on_is_counted_to_its_end_so_far():
    """The beat at 500 ms was late, and none in time has come since."""
    beating = Beating()
    beating.beat(0)
    beating.wake(500)
    assert [beating.missed(since) for since in (0, 100, 499)] == [500, 400, 1]
    beating.now = 508
    assert [beating.missed(since) for since in (0, 100, 505)] == [508, 408, 3]


def test_a_pause_while_a_connection_opens_makes_its_request_late(monkeypatch):
    jump = 0
    monkeypatch.setattr(open_loop, "time", SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + jump))

    class Paused(Simulated):
        async def connect(self, done):
            nonlocal jump
            jump += 2 * SECOND
            return await super().connect(done)

    result = measured([carry_out(Plan(array("q", [0]), 1), Paused(lambda i: (0.0, OK)))])
    assert (result.slip > 1.9 * SECOND).all()
    assert (result.service < SECOND).all()


def test_an_answer_that_comes_in_pieces_may_have_waited_in_a_pause_before_its_end(monkeypatch):
    """The clock jumps after its beginning; by its end beats have come in time again, and it was read at once."""
    jump = 0
    monkeypatch.setattr(open_loop, "time", SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + jump))

    def answers(index: int):
        nonlocal jump
        since = time.monotonic_ns() + jump
        jump += 2 * SECOND
        return 0.1, OK._replace(since=since)

    result = measured([carry_out(Plan(array("q", [0]), 1), Simulated(answers))])
    assert (result.held_ns > 1.9 * SECOND).all()


def test_how_late_a_timeout_may_be_seen():
    plan, zero, timeout = constant(1000, requests=2), time.monotonic_ns() + SECOND // 50, 10.0
    due = [zero + offset + round(patience(timeout) * SECOND) for offset in plan.offsets]
    client = Simulated(lambda i: (0.0, Answer(0, "timeout"), due[i] + i))

    async def carried_out() -> Records:
        return await Run(plan, client, Settings(timeout), clock=FakeClock(), zero=zero).result()

    assert errors(asyncio.run(carried_out())) == ["timeout", "cancelled"]


def test_a_connection_that_never_opens_times_out():
    client = Simulated(opening=60)
    records = carry_out(constant(100, requests=3), client, Settings(timeout=0.1))
    assert errors(records) == ["timeout"] * 3


def test_failures_to_connect_belong_to_the_request_they_were_for():
    class Refusing(Simulated):
        async def connect(self, done):
            self.opened += 1
            if self.opened % 2:
                raise ConnectionFailed("connect", f"refused {self.opened}")
            return _Connection(self, self.opened, done)

    client = Refusing(lambda i: (0.0, Answer(200, "", reusable=False)))
    records = carry_out(constant(50, requests=6), client)
    assert errors(records) == ["connect", ""] * 3
    assert records.details == {"connect": "refused 1"}


def test_an_idle_connection_that_died_costs_no_request():
    client = Simulated(lambda i: (0.0, OK), dead={(0, 1)})
    records = carry_out(constant(20, requests=3), client)
    assert client.sent == [(0, 0), (1, 1), (1, 2)]
    assert set(errors(records)) == {""}


def test_an_idle_connection_that_died_frees_its_place():
    client = Simulated(lambda i: (0.0, OK), dead={(0, 1)})
    records = carry_out(constant(20, requests=2), client, Settings(timeout=1, connections=1))
    assert client.sent == [(0, 0), (1, 1)]
    assert set(errors(records)) == {""}


def test_a_request_given_up_makes_room_for_what_waits():
    client = Simulated(lambda i: (0.0, OK) if i else None)
    records = carry_out(constant(10, requests=2), client, Settings(timeout=0.3, connections=1))
    assert client.sent == [(0, 0), (1, 1)]
    assert errors(records) == ["timeout", ""]


def test_a_freed_place_opens_a_connection_for_what_waits():
    client = Simulated(lambda i: (0.02, Answer(200, "", reusable=False)))
    records = carry_out(constant(1000, requests=6), client, Settings(connections=1))
    assert client.sent == [(i, i) for i in range(6)]
    assert (client.opened, set(errors(records))) == (6, {""})


def test_stop_ends_at_once_with_what_there_is():
    async def stopped():
        stop = asyncio.Event()
        client = Simulated(lambda i: (0.0, OK) if i < 5 else None)
        asyncio.get_running_loop().call_later(0.3, stop.set)
        plan = constant(50, requests=1000)
        records = await run(plan, client, Settings(timeout=60), clock=FakeClock(), stop=stop)
        return records, client, len(client.sent), asyncio.all_tasks() - {asyncio.current_task()}

    records, client, sent, tasks = asyncio.run(stopped())
    assert 5 < records.due < 900
    assert records.due == sent == len(client.sent)
    assert errors(records)[: records.due] == [""] * 5 + ["cancelled"] * (records.due - 5)
    assert set(ended(records)[records.due :]) == {None}
    assert records.stopped
    assert not tasks


def test_a_stop_before_the_start_sends_nothing():
    async def stopped():
        stop = asyncio.Event()
        stop.set()
        client = Simulated()
        return await run(constant(10, requests=5), client, Settings(), clock=FakeClock(), stop=stop), client

    records, client = asyncio.run(stopped())
    assert (records.due, client.sent, records.stopped) == (0, [], True)


def test_a_cancelled_caller_leaves_no_connection_behind():
    async def cancelled():
        enough = asyncio.Event()
        client = Simulated(lambda i: enough.set() if i == 4 else None)
        task = asyncio.create_task(run(constant(100, requests=1000), client, Settings(), clock=FakeClock()))
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return client, len(client.sent)

    client, sent = asyncio.run(cancelled())
    assert client.aborted == client.opened == sent == len(client.sent)
    assert client.closed == 1


def test_progress_is_told_every_second_and_at_the_end():
    told: list[Progress] = []
    carry_out(
        constant(20, seconds=2.3),
        Simulated(lambda i: (0.0, Answer(500, "http-500", reusable=True))),
        progress=told.append,
    )
    assert len(told) in (2, 3)
    assert 0 < told[0].ended < told[-1].ended
    assert told[-1] == Progress(planned=46, sent=46, ended=46, failed=46)


def test_a_fault_of_a_client_ends_the_run_instead_of_hanging_it():
    class Faulty(Simulated):
        async def connect(self, done):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        carry_out(constant(10, requests=1), Faulty())


def test_versions_and_upstream_marks_are_kept():
    answers = [
        Answer(200, "", "v1", 1, reusable=True),
        Answer(200, "", "v2", 1, reusable=True),
        Answer(503, "http-503", "", 0),
    ]
    records = carry_out(constant(100, requests=3), Simulated(lambda i: (0.0, answers[i])))
    assert records.ends == [(200, "", "v1", 1), (200, "", "v2", 1), (503, "http-503", "", 0)]


def test_a_header_that_names_no_version_cannot_fill_the_memory():
    client = Simulated(lambda i: (0.0, Answer(200, "", f"id-{i}", reusable=True)))
    records = carry_out(constant(2000, requests=300), client)
    assert len({end.version for end in records.ends}) == MAX_VERSIONS + 1
    assert records.ends[-1].version == "other"


def test_the_start_is_the_clocks_and_other_threads_are_not_counted_as_cpu():
    quit_ = threading.Event()
    burner = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(quit_.is_set, True)])
    burner.start()
    try:
        records = carry_out(constant(20, requests=10), Simulated())
    finally:
        quit_.set()
        burner.join()
    assert records.started == pytest.approx(FakeClock().now(), abs=0.1)
    assert 0 < records.cpu < 0.6
