"""Open Inference V2 over gRPC: the messages of ``ModelInfer``, and the REST form of a request as one of them. Pure.

The fields and their numbers are those of the protocol (https://github.com/kserve/open-inference-protocol,
specification/protocol/open_inference_grpc.proto), ``double_param`` is Triton's. Tensors are typed fields, or little-endian
bytes in row-major order in ``raw_input_contents``, one entry an input; FP16 has no typed field.
"""

import base64
import math
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeGuard

from google.protobuf import descriptor_pb2

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.grpc.schema import Method, of_set
from fairway_steps.loadtest.payloads import encoded

CALL = "inference.GRPCInferenceService/ModelInfer"
INPUT = "inference.ModelInferRequest"
_P = "inference."
_BOOL, _INT32, _INT64, _UINT32, _UINT64, _FLOAT, _DOUBLE, _STRING, _BYTES = 8, 5, 3, 13, 4, 2, 1, 9, 12
_MESSAGES: dict[str, dict[str, int | str]] = {
    # field → its type, in the order of their numbers; a message's name for messages, "*" where repeated
    "InferParameter": {"bool_param": _BOOL, "int64_param": _INT64, "string_param": _STRING, "double_param": _DOUBLE},
    "ParametersEntry": {"key": _STRING, "value": "InferParameter"},
    "InferTensorContents": {
        "bool_contents": f"*{_BOOL}",
        "int_contents": f"*{_INT32}",
        "int64_contents": f"*{_INT64}",
        "uint_contents": f"*{_UINT32}",
        "uint64_contents": f"*{_UINT64}",
        "fp32_contents": f"*{_FLOAT}",
        "fp64_contents": f"*{_DOUBLE}",
        "bytes_contents": f"*{_BYTES}",
    },
    "InferInputTensor": {
        "name": _STRING,
        "datatype": _STRING,
        "shape": f"*{_INT64}",
        "parameters": "*ParametersEntry",
        "contents": "InferTensorContents",
    },
    "InferRequestedOutputTensor": {"name": _STRING, "parameters": "*ParametersEntry"},
    "ModelInferRequest": {
        "model_name": _STRING,
        "model_version": _STRING,
        "id": _STRING,
        "parameters": "*ParametersEntry",
        "inputs": "*InferInputTensor",
        "outputs": "*InferRequestedOutputTensor",
        "raw_input_contents": f"*{_BYTES}",
    },
    "ModelInferResponse": {},
}
_TYPED = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
}
_PACKED = {
    "BOOL": "?",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
    **dict(zip(("INT8", "INT16", "INT32", "INT64"), "bhiq", strict=True)),
    **dict(zip(("UINT8", "UINT16", "UINT32", "UINT64"), "BHIQ", strict=True)),
}


@cache
def model_infer() -> Method:
    """``ModelInfer`` as the protocol has it; no server needs to describe it."""
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package="inference", syntax="proto3")
    for name, fields in _MESSAGES.items():
        if name != "ParametersEntry":
            _add(file.message_type.add(name=name), fields)
    service = file.service.add(name="GRPCInferenceService")
    service.method.add(name="ModelInfer", input_type=f".{INPUT}", output_type=f".{_P}ModelInferResponse")
    return of_set(descriptor_pb2.FileDescriptorSet(file=[file]), CALL, where="the protocol")


def _add(message: descriptor_pb2.DescriptorProto, fields: Mapping[str, int | str]) -> None:
    for number, (name, written) in enumerate(fields.items(), 1):
        many, kind = str(written).startswith("*"), str(written).lstrip("*")
        field = message.field.add(name=name, number=number, label=3 if many else 1)  # LABEL_REPEATED, LABEL_OPTIONAL
        if kind.isdigit():
            field.type = int(kind)
            if message.name == "InferParameter":
                field.oneof_index = 0
        elif kind == "ParametersEntry":
            entry = message.nested_type.add(name=kind, options=descriptor_pb2.MessageOptions(map_entry=True))
            _add(entry, _MESSAGES[kind])
            field.type, field.type_name = 11, f".{_P}{message.name}.{kind}"
        else:
            field.type, field.type_name = 11, f".{_P}{kind}"
    if message.name == "InferParameter":
        message.oneof_decl.add(name="parameter_choice")


def from_rest(body: Mapping[str, Any], model: str, version: str, *, raw: bool) -> dict[str, Any]:
    """The protobuf-JSON form of a request in REST form: ``data`` becomes typed contents, or raw ones.

    ``model`` and ``version`` fill in what the body leaves out; raw contents are used if asked for and where a data type
    has no other. A body that has ``contents`` or ``raw_input_contents`` already is in the protocol's own form and stays.
    Raises UsageError for a body that is no V2 request.
    """
    message = dict(body)
    if not message.setdefault("model_name", message.pop("modelName", model)):
        raise UsageError(
            "the request names no model",
            mend="write grpc://HOST:PORT/v2/models/NAME/infer, or model_name in the payload",
        )
    if version:
        message.setdefault("model_version", version)
    inputs, outputs = message.get("inputs"), message.get("outputs")
    if not _objects(inputs):
        raise UsageError("a V2 request has a list of inputs", mend='write {"inputs": [{"name": …, "shape": …, …}]}')
    if outputs is not None and not _objects(outputs):
        raise UsageError("the outputs of a V2 request are a list", mend='write {"outputs": [{"name": …}], …}')
    _parameters(message)
    for item in [*inputs, *(outputs or [])]:
        _parameters(item)
    if not any("data" in item for item in inputs):
        return message
    tensors = [(item, [*_flat(item.get("data"))]) for item in inputs]
    for item, values in tensors:
        _check(item, values)
    raw = raw or any(item["datatype"] not in _TYPED for item, _ in tensors)
    message["inputs"] = [_tensor(item, None if raw else values) for item, values in tensors]
    if raw:
        message["raw_input_contents"] = [_as_json(_packed(item["datatype"], values)) for item, values in tensors]
    return message


def _objects(given: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(given, list) and all(isinstance(item, dict) for item in given)


def _check(item: Mapping[str, Any], values: list[Any]) -> None:
    name = item.get("name", "?")
    if missing := [key for key in ("name", "datatype", "shape", "data") if key not in item]:
        raise UsageError(f"input {name!r} has no {missing[0]}")
    datatype, shape = item["datatype"], item["shape"]
    if not isinstance(datatype, str) or (datatype not in _PACKED and datatype != "BYTES"):
        raise UsageError(f"input {name!r}: {datatype!r} is no data type of V2")
    if not isinstance(shape, list) or not all(type(length) is int for length in shape):
        raise UsageError(f"input {name!r}: the shape {shape!r} is no list of whole numbers")
    size = math.prod(shape)
    if size != len(values):
        raise UsageError(f"input {name!r} has {len(values)} values, but its shape {shape} has {size}")
    if datatype == "BYTES" and (odd := [value for value in values if not isinstance(value, str)]):
        raise UsageError(f"input {name!r}: a value of BYTES is a string, not {odd[0]!r}")


def _tensor(item: Mapping[str, Any], values: list[Any] | None) -> dict[str, Any]:
    told = {key: value for key, value in item.items() if key != "data"}
    if values is None:
        return told
    if item["datatype"] == "BYTES":
        values = [_as_json(value) for value in _encoded(values)]
    return told | {"contents": {_TYPED[item["datatype"]]: values}}


def _packed(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value)) + value for value in _encoded(values))
    try:
        return struct.pack(f"<{len(values)}{_PACKED[datatype]}", *values)
    except (struct.error, TypeError, OverflowError) as error:
        raise UsageError(f"a value does not fit {datatype}: {error}") from error


def _encoded(values: list[str]) -> list[bytes]:
    return [encoded(value, "a value of BYTES") for value in values]


def _as_json(value: bytes) -> str:
    """As protobuf's JSON writes bytes."""
    return base64.b64encode(value).decode()


def _flat(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        for item in data:
            yield from _flat(item)
    elif data is not None:
        yield data


def _parameters(item: dict[str, Any]) -> None:
    """``{"x": 1}`` as REST writes it becomes ``{"x": {"int64_param": 1}}``."""
    given = item.get("parameters")
    if not isinstance(given, dict):
        return
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "bool_param"),
        (int, "int64_param"),
        (float, "double_param"),
        (str, "string_param"),
    )
    item["parameters"] = {
        key: next(({name: value} for kind, name in kinds if isinstance(value, kind)), value)
        for key, value in given.items()
    }
