"""V2 requests from shapes and data types: what is drawn fits what was asked for, and nonsense is one sentence.

Left out: what a real server says of them (tests/e2e, tests/steps/loadtest/test_grpc_kserve.py).
"""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.tensors import DATATYPES, body, parse

NUMPY = {"BOOL": np.bool_, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64} | {
    f"{s}INT{b}": np.dtype(f"{'u' if s else ''}int{b}").type for s in ("", "U") for b in (8, 16, 32, 64)
}


@given(st.sampled_from(sorted(NUMPY)), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**31))
def test_the_data_fill_the_shape_and_fit_the_data_type(datatype, shape, seed):
    (given,) = body(parse(f"x:{datatype}{shape}"), seed)["inputs"]
    assert (given["name"], given["shape"], given["datatype"]) == ("x", shape, datatype)
    kind = NUMPY[datatype]
    values = np.array(given["data"]).astype(kind).reshape(shape)
    assert np.isfinite(values.astype(float)).all()
    if datatype[:2] != "FP":
        assert values.ravel().tolist() == given["data"]


def test_the_same_seed_is_the_same_request_and_another_is_another():
    tensors = parse("x:FP32[2,3]; y:BYTES[2]; z:INT64[1]")
    assert json.dumps(body(tensors, 3)) == json.dumps(body(tensors, 3))
    assert body(tensors, 3) != body(tensors, 4)


def test_values_keep_to_their_bounds():
    x, y, z = body(parse("x:INT8[200]=-3..3;y:BYTES[50]=2..4;z:FP64[200]=-1.5..1e1"))["inputs"]
    assert set(x["data"]) == set(range(-3, 4))
    assert {len(value) for value in y["data"]} == {2, 3, 4}
    assert -1.5 <= min(z["data"]) < 0
    assert 9 < max(z["data"]) <= 10


@pytest.mark.parametrize(
    ("datatype", "low", "high"),
    [
        ("FP32", "1e-8", "2e-8"),
        ("FP32", "-3.4e38", "3.4e38"),
        ("FP64", "-1.7e308", "1.7e308"),
        ("FP64", "-1e-3", "1e-3"),
        ("FP64", "7", "7"),
        ("INT64", "0", "9223372036854775807"),
    ],
)
def test_numbers_of_any_size_keep_to_their_bounds(datatype: str, low: str, high: str):
    (given,) = body(parse(f"x:{datatype}[100]={low}..{high}"))["inputs"]
    assert float(low) <= min(given["data"]) <= max(given["data"]) <= float(high)
    assert len(set(given["data"])) > 90 or low == high


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *(
            (f"x:{kind}[1]=0.2..0.8", f"tensor 'x': no value of {kind} lies within")
            for kind in ("INT32", "UINT8", "BOOL", "BYTES")
        ),
        ("", "no tensor is given"),
        ("x", "'x' cannot be read"),
        ("x:FP33[1]", f"'FP33' is no data type; it is one of {', '.join(DATATYPES)}"),
        ("x:FP32[]", "no value"),
        ("x:FP32[2,0]", "no value"),
        ("x:UINT8[1]=0..256", "UINT8 has no values from 0 to 256"),
        ("x:INT8[1]=5..3", "no values from 5 to 3"),
        ("x:FP32[1];x:FP32[1]", "two tensors are called 'x'"),
        ("x:FP32[10000,10000]", "more than 10,000,000 values"),
    ],
)
def test_nonsense_is_one_sentence(text, says):
    with pytest.raises(UsageError, match=r".") as caught:
        parse(text)
    assert says in str(caught.value)
