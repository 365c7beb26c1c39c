"""The parser of answers: every framing of RFC 9112, split at any byte, and what is no answer at all.

Left out: sockets (test_http.py).
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.loadtest.heads import Heads, ProtocolError
from fairway_steps.loadtest.http1 import MAX_HEAD, Parser

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\nA;name=value\r\n\r\n\r\n345678\r\n0\r\nTrailer: x\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LENGTH
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
ZERO = b"HTTP/1.1 404 \r\ncontent-length:0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"), [(LENGTH, 200), (CHUNKED, 503), (INTERIM, 200), (EMPTY, 204), (ZERO, 404)], ids=repr
)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_an_answer_ends_at_its_last_byte_however_it_is_cut(data: bytes, status: int, cuts: list[int]):
    parser = Parser()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert [parser.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (parser.status, parser.keep_alive) == (status, True)
    parser.reset()
    assert parser.feed(data)


@pytest.mark.parametrize("data", [LENGTH, CHUNKED, INTERIM, EMPTY, ZERO], ids=repr)
def test_no_proper_beginning_of_an_answer_is_complete(data: bytes):
    for end in range(1, len(data)):
        parser = Parser()
        assert not parser.feed(data[:end])
        assert not parser.eof()


def test_headers_are_found_by_small_names_and_repeated_ones_joined():
    parser = Parser()
    parser.feed(LENGTH)
    assert parser.headers == {b"content-length": b"5", b"x-a": b"1, 2"}


def test_without_a_length_the_answer_ends_with_the_connection():
    parser = Parser()
    assert not parser.feed(b"HTTP/1.1 200 OK\r\n\r\nwhat")
    assert not parser.feed(b"ever")
    assert parser.eof()
    assert not parser.keep_alive


def test_an_answer_to_head_has_no_body():
    parser = Parser(head=True)
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert parser.keep_alive


@pytest.mark.parametrize(
    ("head", "alive"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", True),
    ],
)
def test_whether_the_connection_lives_on(head: bytes, alive: bool):
    parser = Parser()
    assert parser.feed(head + b"\r\nContent-Length: 0\r\n\r\n")
    assert parser.keep_alive == alive


def test_more_than_one_answer_ends_the_connection():
    parser = Parser()
    assert parser.feed(LENGTH + b"H")
    assert not parser.keep_alive


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        *(LENGTH, CHUNKED, INTERIM, EMPTY, ZERO),
        LENGTH[:-1],
        LENGTH + b"H",
        EMPTY[:-2] + b"Content-Length: 2\r\n\r\nno",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        LENGTH.replace(b"X-A", b"Connection: close\r\nX-A"),
    ],
    ids=repr,
)
def test_an_answer_whose_head_is_known_is_read_as_one_whose_is_not(data: bytes, *, head: bool):
    taken: list[list[bytes]] = []
    parser = Parser(head=head, wanted=lambda parser: taken[-1].append, heads=Heads([b"x-a"]))
    seen = []
    for number in b"113":
        taken.append([])
        parser.reset()
        told = parser.feed(data.replace(b"\r\n\r\n", b"\r\nDate: %d\r\n\r\n" % number, 1))
        seen.append((told, parser.status, parser.headers, parser.keep_alive, parser.begun, taken[-1]))
    assert seen[1] == seen[2] == seen[0]


@pytest.mark.parametrize(
    ("line", "matters"),
    [
        (b"Date: today", False),
        (b"X-Request-ID:", False),
        (b"X-B: x-a: 1", False),
        (b"X-A: 1", True),
        (b"x-a:1", True),
        (b"CONNECTION: close", True),
        (b"content-Length: 0", True),
        (b"transfer-encoding: chunked", True),
        (b"no colon", True),
        (b" folded: 1", True),
        (b"X-B : 1", True),
        (b"X-B: 1\nX-A: 2", True),
    ],
)
def test_of_a_head_that_matters_which_was_asked_for_or_frames_the_body_or_is_malformed(line: bytes, *, matters: bool):
    head = b"HTTP/1.1 200 OK\r\nServer: x\r\n%s\r\nContent-Length: 0\r\n\r\n"
    without = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert Heads([b"x-a"]).essence(head % line) == (
        without.replace(b"OK\r\n", b"OK\r\n%s\r\n" % line) if matters else without
    )


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"H2",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 9000,
    ],
    ids=lambda data: repr(data[-40:]),
)
def test_what_is_no_answer_is_refused(data: bytes):
    with pytest.raises(ProtocolError):
        Parser().feed(data)
    with pytest.raises(ProtocolError):
        Parser(heads=Heads([])).feed(data)


def test_equal_lengths_given_twice_are_one():
    assert Parser().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx")


@given(st.binary(max_size=300))
def test_garbage_never_does_more_than_refuse(data: bytes):
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        parser = Parser()
        try:
            parser.feed(prefix + data)
        except ProtocolError:
            continue
        parser.eof()
