"""From JSON to gRPC messages: through descriptors, and the REST form of V2 requests against KServe's own compiled messages.

Left out: how schemas are fetched from a server (test_grpc.py).
"""

import json

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, json_format
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.infer_type import InferRequest

import grpc_server
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.grpc.infer import model_infer
from fairway_steps.loadtest.grpc.messages import encoder, join, split
from fairway_steps.loadtest.grpc.schema import Method, from_file, of_set, reflected
from fairway_steps.loadtest.tensors import body, parse

KINDS = "BOOL[3];b:INT8[2,2];c:INT16[2];d:INT32[2];e:INT64[3];f:UINT8[2];g:UINT16[2];h:UINT32[2];i:UINT64[2];j:FP32[2];k:FP64[5]"
ALL = f"a:{KINDS};l:BYTES[2]"


def echo(name: str) -> Method:
    return of_set(
        descriptor_pb2.FileDescriptorSet(file=[grpc_server.SCHEMA]), f"{grpc_server.SERVICE}/{name}", where="x"
    )


def encoded(value: object, **options) -> ModelInferRequest:
    (message,) = split(encoder(model_infer(), **options)(json.dumps(value).encode()))
    return ModelInferRequest.FromString(message)


def arrays(request: ModelInferRequest) -> dict[str, np.ndarray]:
    """The tensors as KServe's server reads them."""
    return {given.name: given.as_numpy() for given in InferRequest.from_grpc(request).inputs}


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_messages_survive_being_one_body(messages):
    assert split(join(messages)) == messages


@pytest.mark.parametrize("raw", [False, True])
def test_every_data_type_arrives_at_kserve_as_it_was(raw):
    given = body(parse(ALL), 5)
    request = encoded(given, model="iris", raw=raw)
    assert request.model_name == "iris"
    assert bool(request.raw_input_contents) == raw
    read = arrays(request)
    for item in given["inputs"]:
        values = read[item["name"]].ravel().tolist()
        values = [value.decode() if isinstance(value, bytes) else value for value in values]
        assert values == pytest.approx(item["data"], rel=1e-6) if item["datatype"][0] == "F" else values == item["data"]
        assert list(read[item["name"]].shape) == item["shape"]


def test_halves_go_raw_for_they_have_no_field_and_all_others_with_them():
    request = encoded(body(parse("x:FP16[4];y:INT32[2]")), model="m")
    assert [len(part) for part in request.raw_input_contents] == [8, 8]
    assert not any(given.HasField("contents") for given in request.inputs)
    assert np.frombuffer(request.raw_input_contents[0], "<f2").tolist() == pytest.approx(
        body(parse("x:FP16[4];y:INT32[2]"))["inputs"][0]["data"], rel=1e-3
    )


def test_nested_data_are_flattened_in_row_major_order():
    value = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}]}
    assert list(encoded(value, model="m").inputs[0].contents.fp32_contents) == [1, 2, 3, 4]


def test_parameters_outputs_and_the_version_are_kept():
    value = {
        "id": "7",
        "model_name": "mine",
        "parameters": {"a": True, "b": 3, "c": "x"},
        "inputs": [
            {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["é"], "parameters": {"content_type": "str"}}
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
    }
    request = encoded(value, model="other", version="2")
    assert (request.id, request.model_name, request.model_version) == ("7", "mine", "2")
    assert request.parameters["a"].bool_param is True
    assert request.parameters["b"].int64_param == 3
    assert request.parameters["c"].string_param == "x"
    assert request.inputs[0].parameters["content_type"].string_param == "str"
    assert request.inputs[0].contents.bytes_contents[0] == "é".encode()
    assert (request.outputs[0].name, request.outputs[0].parameters["binary_data"].bool_param) == ("y", False)


def test_a_request_in_the_protocols_own_json_stays():
    theirs = ModelInferRequest(model_name="m")
    theirs.inputs.add(name="x", datatype="FP32", shape=[2]).contents.fp32_contents.extend([1, 2])
    for names in (True, False):
        value = json_format.MessageToDict(theirs, preserving_proto_field_name=names)
        assert encoded(value) == theirs
    raw = ModelInferRequest(model_name="m", raw_input_contents=[b"\0\0\x80?"])
    raw.inputs.add(name="x", datatype="FP32", shape=[1])
    assert encoded(json_format.MessageToDict(raw, preserving_proto_field_name=True)) == raw


X = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"inputs": [X]}, "names no model"),
        ({"model_name": "m"}, "has a list of inputs"),
        ({"model_name": "m", "inputs": [X | {"shape": [3]}]}, "has 2 values, but its shape [3] has 3"),
        ({"model_name": "m", "inputs": [X | {"datatype": "FP8"}]}, "'FP8' is no data type of V2"),
        ({"model_name": "m", "inputs": [{"name": "x", "data": [1]}]}, "input 'x' has no datatype"),
        (
            {"model_name": "m", "inputs": [X | {"datatype": "INT8", "data": [1, 500.5]}]},
            "the payload is no inference.ModelInferRequest",
        ),
        *(
            ({"model_name": "m", "inputs": [X | {"shape": shape}]}, f"the shape {shape} is no list of whole numbers")
            for shape in (2, None, ["a"], [2.0])
        ),
        *(
            ({"model_name": "m", "inputs": [X], "outputs": outputs}, "the outputs of a V2 request are a list")
            for outputs in (1, [1])
        ),
        ({"model_name": "m", "inputs": [X | {"datatype": ["FP32"]}]}, "['FP32'] is no data type of V2"),
        *(
            (
                {"model_name": "m", "inputs": [X | {"datatype": "BYTES", "data": ["a", value]}]},
                f"a value of BYTES is a string, not {value}",
            )
            for value in (5, 1.5, {"a": 1})
        ),
        (
            {"model_name": "m", "inputs": [X | {"datatype": "BYTES", "data": ["a", "\ud800"]}]},
            "a value of BYTES cannot be written in UTF-8",
        ),
        *(
            (
                {"model_name": "m", "inputs": [{"name": "x", "contents": {"bytes_contents": 5}}], key: 5},
                "the payload is no inference.ModelInferRequest",
            )
            for key in ("raw_input_contents", "id")
        ),
        ({"model_name": "m", "inputs": [X], "nope": 1}, 'no field named "nope"'),
        ([], "is a JSON object, not a list"),
    ],
)
def test_what_is_no_v2_request_is_one_sentence(value, says):
    with pytest.raises(UsageError) as caught:
        encoded(value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_raw_value_that_does_not_fit_is_one_sentence():
    with pytest.raises(UsageError, match="a value does not fit UINT8"):
        encoded({"inputs": [X | {"datatype": "UINT8", "data": [1, 300]}]}, model="m", raw=True)


def test_a_body_that_is_not_json_is_one_sentence():
    with pytest.raises(UsageError, match="the payload is not JSON"):
        encoder(echo("Unary"))(b"{")
    with pytest.raises(UsageError, match="the payload is nested too deeply"):
        encoder(echo("Unary"))(b"[" * 50_000)


def test_no_body_is_an_empty_message():
    assert split(encoder(echo("Unary"))(b"")) == [b""]


def test_a_field_that_is_not_there_is_one_sentence():
    with pytest.raises(UsageError, match=r'the payload is no fairway.test.Ask: .*no field named "nope"'):
        encoder(echo("Unary"))(b'{"nope": 1}')


def test_files_import_one_another_in_any_order(tmp_path):
    base = descriptor_pb2.FileDescriptorProto(name="z/base.proto", package="z", syntax="proto3")
    base.message_type.add(name="In").field.add(
        name="at", number=1, label=1, type=11, type_name=".google.protobuf.Timestamp"
    )
    base.dependency.append("google/protobuf/timestamp.proto")  # as a compiler leaves it out without --include_imports
    top = descriptor_pb2.FileDescriptorProto(
        name="a/top.proto", package="a", syntax="proto3", dependency=["z/base.proto"]
    )
    top.service.add(name="S").method.add(name="M", input_type=".z.In", output_type=".z.In")
    path = tmp_path / "set"
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[top, base]).SerializeToString())
    method = from_file(path, "a.S/M")
    assert split(encoder(method)(b'{"at": "1970-01-01T00:00:05Z"}')) == [b"\x0a\x02\x08\x05"]
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[top]).SerializeToString())
    with pytest.raises(UsageError, match=r"are not complete: .*; compile them with --include_imports"):
        from_file(path, "a.S/M")


def test_a_server_is_asked_for_what_its_files_import_and_protobufs_own_are_known():
    base = descriptor_pb2.FileDescriptorProto(name="base.proto", package="z", syntax="proto3")
    base.message_type.add(name="In").field.add(
        name="at", number=1, label=1, type=11, type_name=".google.protobuf.Duration"
    )
    base.dependency.append("google/protobuf/duration.proto")
    top = descriptor_pb2.FileDescriptorProto(name="top.proto", package="a", syntax="proto3", dependency=["base.proto"])
    top.service.add(name="S").method.add(name="M", input_type=".z.In", output_type=".z.In", server_streaming=True)
    known = {("file_containing_symbol", "a.S"): top, ("file_by_filename", "base.proto"): base}
    asked = []

    def ask(kind: str, what: str) -> list[bytes]:
        asked.append((kind, what))
        return [known[kind, what].SerializeToString()]

    method = reflected(ask, "a.S/M", where="h:1")
    assert asked == list(known)
    assert (method.many_in, method.many_out) == (False, True)
    assert split(encoder(method)(b'{"at": "5s"}')) == [b"\x0a\x02\x08\x05"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([b"\xff\xff"], "h:1 describes itself by bytes that are no descriptor"),
        ([descriptor_pb2.FileDescriptorProto(name="x/b.proto").SerializeToString()], "h:1 does not describe b.proto"),
        ([], "h:1 does not describe b.proto"),
        (None, "h:1 does not describe b.proto"),
    ],
)
def test_a_server_that_does_not_describe_what_its_files_import_is_asked_once(files, sentence):
    top = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3", dependency=["b.proto"])
    asked = []

    def ask(kind: str, what: str) -> list[bytes]:
        asked.append(what)
        assert len(asked) < 10
        if kind == "file_containing_symbol":
            return [top.SerializeToString()]
        if files is None:
            raise LookupError("File not found.")
        return files

    with pytest.raises(UsageError, match=sentence):
        reflected(ask, "a.S/M", where="h:1")
    assert asked == ["a.S", "b.proto"]
