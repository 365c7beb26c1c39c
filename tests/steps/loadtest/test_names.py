"""Covers: one question for all who wait, again after a failure and in another loop, and that no loop waits for a resolver at its end.

Left out: who is told what of a name that does not exist (test_http.py).
"""

import asyncio
import socket
import threading

import pytest

from fairway_steps.loadtest.names import Names

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


def test_many_who_wait_ask_once_and_a_failure_is_asked_again(monkeypatch):
    answers, asked = [socket.gaierror("no such name"), FOUND, FOUND], []

    def resolve(*given, **_):
        asked.append(given)
        if isinstance(found := answers[len(asked) - 1], Exception):
            raise found
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    names = Names("iris", 80)

    async def several():
        return await asyncio.gather(*(names() for _ in range(5)), return_exceptions=True)

    assert [str(one) for one in asyncio.run(several())] == ["no such name"] * 5
    assert asyncio.run(several()) == [[(socket.AF_INET, ("127.0.0.1", 80))]] * 5
    assert asked == [("iris", 80)] * 2


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_no_loop_waits_for_a_resolver_that_does_not_answer(monkeypatch, loops):
    ends = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (ends.wait(60), FOUND)[1])

    async def given_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Names("iris", 80)(), 0.01)

    factory = pytest.importorskip("uvloop").new_event_loop if loops == "uvloop" else None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(given_up())
        assert not ends.is_set(), "the loop has ended, and the resolver has not"
    finally:
        ends.set()
