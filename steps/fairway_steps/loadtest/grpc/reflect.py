"""Asking a server for its schema (gRPC server reflection), with the metadata and TLS of the calls."""

from collections.abc import Iterator
from contextlib import closing

import grpc
from grpc_reflection.v1alpha import reflection_pb2

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest.grpc.channel import Peer
from fairway_steps.loadtest.grpc.failures import classify, sentence
from fairway_steps.loadtest.grpc.schema import DESCRIPTORS, Method, reflected

VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
WITHIN = 30.0
"""Seconds for the answer to one question: asked before the load, of a server that may be starting or busy."""
_UNIMPLEMENTED, _UNREACHED = 12, ("connect", "dns", "tls", "protocol", "reset", "timeout", "grpc-deadline-exceeded")
Metadata = tuple[tuple[str, str | bytes], ...]


def reflect(peer: Peer, name: str, metadata: Metadata) -> Method:
    """The method ``name`` as the server at ``peer`` describes it.

    Raises UsageError where it does not know it or does not describe itself, DomainError where it cannot be reached.
    """
    with closing(peer.open_blocking()) as channel:
        for version in VERSIONS:
            try:
                return reflected(_Ask(channel, version, metadata), name, where=peer.address)
            except grpc.RpcError as error:
                number, details = error.code().value[0], error.details() or ""
                if number == _UNIMPLEMENTED:
                    continue
                failure = classify(number, details)
                if failure in _UNREACHED:
                    raise DomainError(
                        f"endpoint {peer.address} is unusable, its schema cannot be read: {_why(peer, failure, details)}"
                    ) from error
                raise UsageError(
                    f"{peer.address} does not let its schema be read: {sentence(number, details)}",
                    mend=DESCRIPTORS,
                ) from error
    raise UsageError(
        f"{peer.address} does not describe itself (no server reflection)",
        mend=f"{DESCRIPTORS}, written by protoc --include_imports --descriptor_set_out=FILE",
    )


def _why(peer: Peer, failure: str, details: str) -> str:
    import asyncio  # noqa: PLC0415 - only when something is wrong

    from fairway_steps.loadtest.grpc.channel import why  # noqa: PLC0415

    told = f"{' '.join(details.split())} ({failure})"
    if failure in ("timeout", "grpc-deadline-exceeded"):
        return told
    found = asyncio.run(why(peer))
    if failure == "reset" and found.error != "tls":  # which breaks off after a handshake that seemed well
        return told
    return f"{found.detail} ({found.error})"


class _Ask:
    """One question a call: servers may be many behind one address, but each answers for itself."""

    def __init__(self, channel: grpc.Channel, version: str, metadata: Metadata) -> None:
        self._metadata = metadata
        self._call = channel.stream_stream(
            f"/{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

    def __call__(self, kind: str, what: str) -> list[bytes]:
        request = reflection_pb2.ServerReflectionRequest(**{kind: what})
        answers: Iterator[reflection_pb2.ServerReflectionResponse] = self._call(
            iter([request]), metadata=self._metadata, timeout=WITHIN
        )
        for answer in answers:
            if answer.HasField("error_response"):
                raise LookupError(answer.error_response.error_message or "it is not known")
            return list(answer.file_descriptor_response.file_descriptor_proto)
        raise LookupError("it does not answer")
