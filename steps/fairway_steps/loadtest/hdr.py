"""A histogram of whole numbers in HdrHistogram's V2 encoding (G. Tene, http://hdrhistogram.org; ``encodeIntoCompressedByteBuffer``).

Numbers are counted in buckets of 2048 equal parts, each bucket twice as wide as the last one, so that three digits are kept. Counts are
written as ZigZag LEB128, a run of zeros as its negative length.
"""

import base64
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_COOKIE = 0x1C849313
_COMPRESSED = 0x1C849314
_DIGITS = 3
_BITS = 11  # of 2048, the first power of two from 2 * 10**_DIGITS on


def encoded(values: NDArray[np.int64], highest: int) -> str:
    """Base64 of the histogram of ``values`` between 1 and ``highest``."""
    payload = b"".join(_words(_counts(values)))
    head = struct.pack(">iiiiqqd", _COOKIE, len(payload), 0, _DIGITS, 1, highest, 1.0)
    packed = zlib.compress(head + payload)
    return base64.b64encode(struct.pack(">ii", _COMPRESSED, len(packed)) + packed).decode()


def _counts(values: NDArray[np.int64]) -> list[int]:
    _, exponents = np.frexp(np.maximum(values, (1 << _BITS) - 1).astype(np.float64))
    bucket = exponents - _BITS
    half = 1 << (_BITS - 1)
    counts: list[int] = np.bincount((values >> bucket) + bucket * half).tolist()
    return counts


def _words(counts: list[int]) -> Iterator[bytes]:
    zeros = 0
    for count in counts:
        if count:
            if zeros:
                yield _word(-zeros)
            yield _word(count)
        zeros = 0 if count else zeros + 1


def _word(number: int) -> bytes:
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    word = bytearray()
    while rest > 0x7F:
        word.append(rest & 0x7F | 0x80)
        rest >>= 7
    word.append(rest)
    return bytes(word)
