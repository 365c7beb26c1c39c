"""From an endpoint's options to a gRPC target: checked once, before the load, and a plain value from then on."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import Client
from fairway_steps.loadtest.grpc.channel import Peer
from fairway_steps.loadtest.grpc.client import Call, GrpcClient
from fairway_steps.loadtest.grpc.infer import CALL, INPUT, model_infer
from fairway_steps.loadtest.grpc.messages import encoder, join
from fairway_steps.loadtest.grpc.reflect import reflect
from fairway_steps.loadtest.grpc.schema import Method, from_file
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.secrets import address

_MEND = "write grpc://HOST:PORT/package.Service/Method"
STREAMS = 50
"""Calls at once over one connection; servers commonly allow 100."""
BINARY = frozenset({"application/x-protobuf", "application/protobuf", "application/grpc", "application/grpc+proto"})
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_CALL = re.compile(r"[A-Za-z_][\w.]*/[A-Za-z_]\w*")
_V2 = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer")


class Tls(Protocol):
    """What of an endpoint's TLS matters here; empty strings are unset."""

    @property
    def ca_file(self) -> str: ...
    @property
    def cert_file(self) -> str: ...
    @property
    def key_file(self) -> str: ...
    @property
    def server_name(self) -> str: ...
    @property
    def insecure(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Grpc:
    """One method of one server. Bodies become messages in ``prepare``, once, before the load."""

    peer: Peer
    call: Call
    method: Method = field(repr=False)
    model: str = ""
    model_version: str = ""
    raw: bool = False
    binary: bool = False
    streams: int = STREAMS

    @property
    def name(self) -> str:
        scheme = "grpcs" if self.peer.secure else "grpc"
        return f"{scheme}://{self.peer.address}{self.call.path}"

    def prepare(self, payloads: Payloads) -> Payloads:
        """Bodies as they go over the wire, from those of the user. Raises UsageError for one that does not fit."""
        if self.binary:
            return replace(payloads, bodies=tuple(join([body]) for body in payloads.bodies))
        encode = encoder(self.method, model=self.model, version=self.model_version, raw=self.raw)
        return replace(payloads, bodies=tuple(encode(body) for body in payloads.bodies))

    def spoken(self) -> str:
        """Nothing: what else than gRPC a server speaks is told when no connection can be opened."""
        return ""

    def open(self, payloads: Payloads) -> Client:
        """A client for bodies that were prepared."""
        return GrpcClient(self.peer, self.call, payloads, self.streams)


def target(
    url: str,
    *,
    call: str = "",
    descriptors: str = "",
    headers: Mapping[str, str] | None = None,
    tls: Tls | None = None,
    label_header: str = "",
    content_type: str = "",
    message_interval: float = 0.0,
    deadline: float = 0.0,
    streams: int = STREAMS,
    raw: bool = False,
) -> Grpc:
    """The target of a URL. Asks the server for its schema, unless ``descriptors`` has it or the method is V2's.

    ``headers`` are the metadata; a value of a ``-bin`` key is base64, ``host`` is the authority. ``content_type`` of protobuf says that
    bodies are messages already. Raises UsageError for what cannot be, DomainError for a server that cannot be reached.
    """
    peer, path = _peer(url, tls)
    metadata, authority = _metadata(headers or {})
    peer = replace(peer, authority=authority or peer.server_name)
    name, model, version = _name(path, call)
    if descriptors:
        method = from_file(Path(descriptors), name)
    else:
        method = model_infer() if name == CALL else reflect(peer, name, metadata)
    if streams < 1:
        raise UsageError(f"{streams} calls over a connection are none", mend="give at least 1")
    if raw and method.input()[0].full_name != INPUT:
        raise UsageError(f"raw tensors are of V2 inference requests, and {name} takes none", mend="leave them out")
    made = Call(f"/{name}", method.many_in, method.many_out, metadata, label_header.lower(), message_interval, deadline)
    return Grpc(peer, made, method, model, version, raw, content_type.lower() in BINARY, streams)


def _peer(url: str, tls: Tls | None) -> tuple[Peer, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"URL {address(url)!r} cannot be read", mend=_MEND) from error
    if parts.scheme not in ("grpc", "grpcs") or not host or port == 0 or parts.query:
        raise UsageError(f"URL {address(url)!r} is no gRPC endpoint", mend=_MEND)
    if parts.username is not None:
        raise UsageError("the URL carries credentials", mend="give them in a header, by reference")
    secure = parts.scheme == "grpcs"
    if port is None:
        raise UsageError(
            f"URL {address(url)!r} names no port", mend=f"write {parts.scheme}://{host}:PORT, such as :8001"
        )
    if tls is None:
        return Peer(host, port, secure), parts.path
    if not secure and (tls.ca_file or tls.cert_file or tls.key_file or tls.insecure):
        raise UsageError(f"certificates are of no use for {address(url)!r}", mend="write grpcs://, or leave them out")
    if tls.insecure:
        raise UsageError("gRPC always checks the server's certificate", mend="name its authority (a CA file) instead")
    peer = Peer(host, port, secure, tls.ca_file, tls.cert_file, tls.key_file, tls.server_name)
    if secure:
        peer.context()  # its files are read now, not in the load
    return peer, parts.path


def _name(path: str, call: str) -> tuple[str, str, str]:
    """The full name of the method, and the model and its version where it is V2's."""
    path = unquote(path)
    if match := _V2.fullmatch(path):
        return call.lstrip("/") or CALL, match["model"], match["version"] or ""
    given = path.strip("/")
    if given and call and given != call.lstrip("/"):
        raise UsageError(f"the URL calls {given} and --call says {call}", mend="give one of the two")
    name = given or call.lstrip("/") or CALL
    if "/" not in name and "." in name:  # package.Service.Method, as some tools write it
        name = "/".join(name.rsplit(".", 1))
    if not _CALL.fullmatch(name):
        raise UsageError(f"{name!r} is no gRPC method", mend="write package.Service/Method")
    return name, "", ""


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[tuple[str, str | bytes], ...], str]:
    """Metadata as gRPC takes it, and the authority."""
    found: list[tuple[str, str | bytes]] = []
    authority = ""
    for given, value in headers.items():
        key = given.lower()
        if key in (":authority", "host"):
            authority = value
        elif key in ("content-type", "te", "user-agent") or key.startswith("grpc-"):
            if key != "content-type":
                raise UsageError(f"metadata {given!r} is gRPC's own", mend="leave it out")
        elif not _KEY.fullmatch(key):
            raise UsageError(f"metadata {given!r} cannot be sent", mend="its name is not allowed in gRPC")
        elif key.endswith("-bin"):
            try:
                found.append((key, base64.b64decode(value, validate=True)))
            except binascii.Error as error:
                raise UsageError(f"metadata {given!r} is not base64") from error
        elif not _VALUE.fullmatch(value):
            raise UsageError(f"metadata {given!r} cannot be sent", mend="its value is not printable ASCII")
        else:
            found.append((key, value))
    return tuple(found), authority
