"""How an answer names the version that it is from."""

from hashlib import blake2s

LONGEST = 63
"""Letters of a version's name, as of a label of Kubernetes."""
_MARK = 4  # bytes of the digest


def label_of(text: str) -> str:
    """The name of a version in ASCII. One that is longer than a version's may be gets a digest for its end: no two become one, nor another's."""
    name = text.encode("ascii", "backslashreplace").decode()
    if len(name) <= LONGEST:
        return name
    mark = "~" + blake2s(name.encode(), digest_size=_MARK).hexdigest()
    return name[: LONGEST - len(mark)] + mark
