"""How an answer names the version that it is from."""

from hashlib import blake2s

LONGEST = 63
"""Letters of a version's name, as of a label of Kubernetes."""
_MARK = 4  # bytes of the digest


def label_of(text: str) -> str:
    """The name of a version in letters of ASCII that can be printed. One that is longer than a version's may be gets a digest for its end: no two become one, nor another's."""
    name = "".join(map(_printed, text.encode("ascii", "backslashreplace").decode()))
    if len(name) <= LONGEST:
        return name
    mark = "~" + blake2s(name.encode(), digest_size=_MARK).hexdigest()
    return name[: LONGEST - len(mark)] + mark


def _printed(letter: str) -> str:
    return letter if letter.isprintable() else f"\\x{ord(letter):02x}"
