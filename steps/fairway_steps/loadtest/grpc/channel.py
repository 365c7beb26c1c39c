"""A gRPC channel that either is connected or says in one sentence why it cannot be.

The library only reports that a connection failed. So when one does, the same way is tried with plain sockets: the name, the
port, the TLS handshake, the first bytes of HTTP/2 (RFC 9113, section 3.4: the server, too, begins with a SETTINGS frame).
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import ConnectionFailed, Exhausted
from fairway_steps.loadtest.names import Names
from fairway_steps.loadtest.spoken import PREFACE
from fairway_steps.loadtest.tls import Tls, context, reason

_LOOK = 5.0  # seconds for each step of finding out
_FILES = 4  # that a connection of the library takes, about: what one that failed let go of is no proof that there were enough
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.use_local_subchannel_pool", 1),  # channels must not share a connection
    ("grpc.enable_retries", 0),  # never send more than the plan
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.primary_user_agent", "fairway-load-test"),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect, and how. Files are PEM; empty: the system's authorities, no certificate of our own."""

    host: str
    port: int
    secure: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    authority: str = ""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def options(self) -> list[tuple[str, Any]]:
        chosen = list(_OPTIONS)
        if self.authority:
            chosen.append(("grpc.default_authority", self.authority))
        if self.server_name:
            chosen.append(("grpc.ssl_target_name_override", self.server_name))
        return chosen

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises UsageError for a file that cannot be used."""
        self.context()
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca_file) if self.ca_file else _system_roots(),
            private_key=_read(self.key_file or self.cert_file) if self.cert_file else None,
            certificate_chain=_read(self.cert_file) if self.cert_file else None,
        )

    def context(self) -> ssl.SSLContext:
        """The same TLS by Python's own library; it tells what is wrong with files and peers. Raises UsageError."""
        return context(Tls(self.ca_file, self.cert_file, self.key_file), ("h2",))

    def open(self) -> aio.Channel:
        if self.secure:
            return aio.secure_channel(self.address, self.credentials(), options=self.options())
        return aio.insecure_channel(self.address, options=self.options())

    def open_blocking(self) -> grpc.Channel:
        if self.secure:
            return grpc.secure_channel(self.address, self.credentials(), options=self.options())
        return grpc.insecure_channel(self.address, options=self.options())


async def connected(channel: aio.Channel, peer: Peer) -> None:
    """Return when the channel is ready. Raises ConnectionFailed with what was found out, if a first try fails."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise await why(peer)
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def why(peer: Peer) -> ConnectionFailed:
    """What a plain try finds wrong with ``peer``."""
    if missing := _no_files():
        return Exhausted("connect", missing)
    try:
        await Names(peer.host, peer.port)()
    except (OSError, UnicodeError) as error:
        return ConnectionFailed("dns", f"{peer.host!r} cannot be resolved: {reason(error)}")
    try:
        return await asyncio.wait_for(_try(peer), _LOOK)
    except TimeoutError:
        return ConnectionFailed("connect", f"{peer.address} does not answer")


def _no_files() -> str:
    """Why this process can open no connection, if it cannot."""
    with ExitStack() as opened:
        try:
            for _ in range(_FILES):
                opened.enter_context(socket.socket())
        except OSError as error:
            return reason(error)
    return ""


async def _try(peer: Peer) -> ConnectionFailed:
    try:
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
    except OSError as error:
        kind = Exhausted if error.errno == errno.EADDRNOTAVAIL else ConnectionFailed  # every local port is taken
        return kind("connect", reason(error))
    try:
        if peer.secure:
            try:
                name = peer.server_name or peer.host
                await writer.start_tls(peer.context(), server_hostname=name)
            except (ssl.SSLError, OSError) as error:
                return ConnectionFailed("tls", reason(error))
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                return ConnectionFailed("protocol", f"{peer.address} does not offer HTTP/2, which gRPC needs")
        try:
            writer.write(PREFACE)
            first = await reader.read(64)
        except ssl.SSLError as error:  # TLS 1.3 refuses a client's certificate, or its lack, after the handshake
            return ConnectionFailed("tls", f"{peer.address} refused the connection: {reason(error)}")
        except OSError:
            first = b""
        return ConnectionFailed(*_verdict(peer, first))
    finally:
        writer.transport.abort()


def _verdict(peer: Peer, first: bytes) -> tuple[str, str]:
    if first.startswith(b"HTTP/"):
        return "protocol", f"{peer.address} answers in HTTP/1: this is not its gRPC port"
    if not peer.secure and (not first or first[:2] == b"\x15\x03"):
        return "protocol", f"{peer.address} does not speak gRPC in plain text: write grpcs:// if it expects TLS"
    if peer.secure and not first:
        return (
            "tls",
            f"{peer.address} closed the connection after the TLS handshake; it may ask for a client certificate",
        )
    if first[3:4] == b"\x04":
        return "connect", f"{peer.address} speaks HTTP/2 now, but did not let gRPC connect"
    return "protocol", f"{peer.address} does not speak HTTP/2, which gRPC needs"


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _system_roots() -> bytes | None:
    """The system's authorities, as for HTTP; the library's own list where there is no such file."""
    found: Sequence[str | None] = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile)
    return next((_read(path) for path in found if path and Path(path).is_file()), None)
