"""Covers: requests as proxies mirror them, cut anywhere; what is no request, and what is too large.

Leaves out: the answers to them (test_server.py).
"""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.collector.inbound import MAX_HEAD, Malformed, TooLarge, read_body, read_head

LENGTH = (
    b"POST /v2/models/m/infer?a=b HTTP/1.1\r\nHost: iris-shadow\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello"
)
CHUNKED = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"


def read(*pieces, most=100):
    """The requests in these pieces."""

    async def all_of_them():
        stream = asyncio.StreamReader(limit=MAX_HEAD)
        for piece in pieces:
            stream.feed_data(piece)
        stream.feed_eof()
        found = []
        while head := await read_head(stream):
            found.append((head, await read_body(stream, head, most)))
        return found

    return asyncio.run(all_of_them())


@given(st.lists(st.integers(0, 200), max_size=5))
def test_requests_follow_one_another_however_they_are_cut(cuts):
    data = LENGTH + CHUNKED + LENGTH
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = read(*(data[begin:end] for begin, end in pairwise(places)))
    assert [(head.method, head.target, body) for head, body in found] == [
        ("POST", "/v2/models/m/infer?a=b", b"hello"),
        ("POST", "/x", b"hello"),
        ("POST", "/v2/models/m/infer?a=b", b"hello"),
    ]
    assert found[0][0].headers[b"x-a"] == b"1, 2"


def test_a_connection_ends_when_the_request_says_so():
    ends = [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
    assert [read(one)[0][0].keep_alive for one in ends] == [False, False, True]


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: five\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_malformed(data):
    with pytest.raises(Malformed):
        read(data)


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
def test_a_body_above_the_limit_is_not_read(data):
    with pytest.raises(TooLarge):
        read(data, most=4)
