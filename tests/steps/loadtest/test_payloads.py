"""Which body each request carries, alone and shared among processes."""

from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.loadtest.payloads import Payloads


def test_bodies_are_taken_in_turn():
    payloads = Payloads((b"a", b"b", b"c"))
    assert [payloads[i] for i in range(7)] == [b"a", b"b", b"c", b"a", b"b", b"c", b"a"]


@given(st.integers(1, 7), st.integers(1, 5))
def test_shared_or_not_a_request_carries_the_same(distinct: int, workers: int):
    whole = Payloads(tuple(bytes([i]) for i in range(distinct)))
    shares = [whole.share(worker, workers) for worker in range(workers)]
    for arrival in range(40):
        assert shares[arrival % workers][arrival // workers] == whole[arrival]


def test_a_share_can_be_shared():
    whole = Payloads(tuple(bytes([i]) for i in range(7)))
    assert [whole.share(1, 2).share(2, 3)[i] for i in range(3)] == [whole[1 + 2 * (2 + 3 * i)] for i in range(3)]
