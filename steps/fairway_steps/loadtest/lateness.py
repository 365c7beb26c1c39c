"""How late a client may send before that counts, for the result itself and for whoever reads its file. No third party."""

SLIP_SHARE = 0.02
"""Of what a request took, its timeout included: by less than that it may be late."""
NOTICE_FLOOR = 0.1
"""Seconds by which any timeout may be noticed late: to give up a thousand connections at once takes half of it."""
FEW = 2
FEW_SHARE = 0.01
NEGLECTED = 0.05


def many(late: int, requests: int) -> bool:
    """Whether more of the requests were late than is neglected: two of any run, one in a hundred of a longer one."""
    return late > max(FEW, FEW_SHARE * requests)


def outweighs(late: int, timeouts: int, requests: int) -> bool:
    """Whether that many timeouts, which the client brought about, shape the result: they are most of all ``timeouts``, or many of the requests.

    The former would be held against a version by a strict limit on failures. Beside twenty times as many of a version that hangs
    they change nothing.
    """
    return (late > FEW and 2 * late > timeouts) or (many(late, requests) and late > NEGLECTED * timeouts)


def patience(timeout: float) -> float:
    """Seconds after its moment until which a request that ran out of time may be noticed; later, the client itself was held up."""
    return timeout + max(NOTICE_FLOOR, SLIP_SHARE * timeout)
