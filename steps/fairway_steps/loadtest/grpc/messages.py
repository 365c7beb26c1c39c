"""Request bodies as bytes on the wire: JSON → messages through descriptors, once, before the load. Pure.

A body is the bytes of its messages, each behind its length (4 bytes, big-endian), so that a stream of them travels as one.
JSON is protobuf's own (https://protobuf.dev/programming-guides/json/); a list is one message each, for the methods that take
a stream.
"""

import copy
import struct
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.message import Message

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.grpc.infer import INPUT, from_rest
from fairway_steps.loadtest.grpc.schema import Method
from fairway_steps.loadtest.payloads import from_json

Adapt = Callable[[Mapping[str, Any]], dict[str, Any]]


def encoder(method: Method, *, model: str = "", version: str = "", raw: bool = False) -> Callable[[bytes], bytes]:
    """What makes a JSON body of ``method`` one of bytes; raises UsageError for a body that does not fit.

    For a V2 inference request the REST form is understood, too; ``model``, ``version`` and ``raw`` are for that.
    """
    kind, pool = method.input()
    build = message_factory.GetMessageClass(kind)

    def one(value: Any) -> bytes:
        if not isinstance(value, dict):
            raise UsageError(f"a message of {method.name} is a JSON object, not {_kind(value)}")
        message = build()
        if kind.full_name == INPUT:
            value = from_rest(copy.deepcopy(value), model, version, raw=raw)
        try:
            json_format.ParseDict(value, message, descriptor_pool=pool)
        except json_format.ParseError as error:
            raise UsageError(f"the payload is no {kind.full_name}: {_reason(error)}") from error
        return _bytes(message)

    def encode(body: bytes) -> bytes:
        value = from_json(body or b"{}", "the payload")
        if method.many_in:
            return join([one(item) for item in (value if isinstance(value, list) else [value])])
        return join([one(value)])

    return encode


def join(messages: list[bytes]) -> bytes:
    """One body of messages."""
    return b"".join(struct.pack(">I", len(message)) + message for message in messages)


def split(body: bytes) -> list[bytes]:
    """The messages of a body."""
    found, at = [], 0
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        found.append(body[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _bytes(message: Message) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _kind(value: Any) -> str:
    return {list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number")


def _reason(error: Exception) -> str:
    """The first sentence of protobuf's, in one line."""
    return " ".join(str(error).split()).rstrip(".")
