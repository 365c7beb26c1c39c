"""What a gRPC status says went wrong, in the classes of the load test. Pure.

gRPC's own codes keep their names (``grpc-resource-exhausted``). ``UNAVAILABLE`` is also what the library makes of every broken or
missing connection; its words tell which (grpc/grpc, src/core, checked with 1.85 by the tests): what never reached a server is
``connect``, ``dns`` or ``tls``, what broke on the way ``reset``, and ``truncated`` once a part of the answer was there. A server may
use the same words of its own troubles, so only sentences that begin as the library's do are read, and, but for an HTTP status, none
that came with metadata.
"""

import re

from fairway_steps.loadtest.grpc_codes import code_name

_BROKEN = ("unavailable", "internal", "unknown")
_TRANSPORT = {
    "dns": ("dns resolution failed", "errors resolving", "domain name not found", "name resolution failure"),
    "tls": ("handshak", "ssl_error", "certificate", "tls"),
    "protocol": (
        "http1.x server",
        "http/1.1",
        "settings frame",
        "frame of size",
        "received http status",
        "unexpected http",
    ),
    "reset": (
        "reset by peer",
        "socket closed",
        "goaway",
        "broken pipe",
        "rst_stream",
        "connection dropped",
        "end of tcp",
    ),
    "connect": (
        "connection refused",
        "failed to connect",
        "no route",
        "unreachable",
        "connect failed",
        "timeout occurred",
    ),
}
_OURS = re.compile(
    r"(?:(?:ipv4|ipv6|unix):\S+ )?(?:"
    r"failed to connect to all |dns resolution failed|errors resolving |domain name not found|name resolution failure|.{,80}: (?:connect|resolution) failed"
    r"|trying to connect an http1|expected settings frame|settings frame|failed parsing http|frame of size|received (?:http|unexpected http)"
    r"|(?:received |got )?(?:goaway|rst_stream)|stream removed|endpoint read failed|recvmsg:|sendmsg:|socket closed|connection reset by peer$|broken pipe$|end of tcp|connection dropped)"
)
_HTTP_STATUS = re.compile(r"received http\S*(?: header with)? status:? ?(?:header: )?(\d{3})")


def classify(number: int, details: str, *, begun: bool = False, told: bool = False) -> str:
    """The class of a call that ended with the code ``number``.

    ``begun``: messages of the answer had come; ``told``: metadata came with the status, so it is the server's.
    """
    name = code_name(number)
    if name == "ok":
        return ""
    lowered = details.lower()
    if name in _BROKEN and (status := _HTTP_STATUS.match(lowered)):
        return f"http-{status[1]}"
    if name in _BROKEN and not told and _OURS.match(lowered):
        for error, words in _TRANSPORT.items():
            if any(word in lowered for word in words):
                return "truncated" if begun and error == "reset" else error
    return f"grpc-{name}"


def sentence(number: int, details: str) -> str:
    """One line for the first of a class."""
    name = code_name(number).replace("-", " ")
    return f"{name}: {' '.join(details.split())[:300]}" if details else name
