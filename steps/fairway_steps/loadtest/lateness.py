"""How late a client may send before that counts, for the result itself and for whoever reads its file. No third party."""

SLIP_SHARE = 0.02
"""Of what a request took, its timeout included: by less than that it may be late."""
FEW = 2
FEW_SHARE = 0.01


def many(late: int, requests: int) -> bool:
    """Whether more of the requests were late than is neglected: two of any run, one in a hundred of a longer one."""
    return late > max(FEW, FEW_SHARE * requests)
