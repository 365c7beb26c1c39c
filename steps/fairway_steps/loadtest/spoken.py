"""What a server speaks that closes every HTTP/1.1 request without a word: asked once, when a run is over."""

import socket
import ssl

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""How a client begins HTTP/2 (RFC 9113, section 3.4), with a SETTINGS frame of its own."""
HTTP2 = "the server speaks HTTP/2 only, which is for gRPC endpoints"
TLS = "the server speaks TLS: write https://"
REFUSED = "the server closes each connection after the TLS handshake; it may ask for a client certificate"
"""With TLS 1.3 its refusal comes that late, and some, as asyncio's, say nothing (RFC 8446, section 4.4)."""
_WITHIN = 2.0  # seconds for each step


def is_http2(first: bytes) -> bool:
    """Whether a server's first bytes are a SETTINGS frame or, had it no patience, a GOAWAY."""
    return first[3:5] in (b"\x04\x00", b"\x07\x00")


def spoken(host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "") -> str:
    """A sentence, empty if it cannot be told. ``tls`` is for a port of HTTPS and offers HTTP/2; ``name`` is the server's."""
    if tls is None and _handshake(host, port):
        return TLS
    try:
        plain = socket.create_connection((host, port), _WITHIN)
        with tls.wrap_socket(plain, server_hostname=name) if tls else plain as sock:
            said = _unasked(sock) if tls else None
            if said is None:
                sock.sendall(PREFACE)
                said = sock.recv(64)
            elif not said:
                return REFUSED
            return HTTP2 if is_http2(said) else ""
    except OSError:  # TLS errors are some, too
        return ""


def _unasked(sock: socket.socket) -> bytes | None:
    """What a server says first: nothing if it closes, None if it waits to be asked."""
    try:
        return sock.recv(64)
    except TimeoutError:
        return None
    except OSError:
        return b""


def _handshake(host: str, port: int) -> bool:
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # nothing is told to it
    try:
        with socket.create_connection((host, port), _WITHIN) as plain, anyone.wrap_socket(plain):
            return True
    except OSError:
        return False
