"""Covers: values to JSON and back for all the record uses; what does not fit is refused with its place.

Leaves out: types the model does not use.
"""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.codec import decode, encode
from fairway_steps.model import Assessment, Evidence, Histogram, Metric, Result, Slo, Stage, Stratum, Verdict

finite = st.floats(allow_nan=False)
histograms = st.builds(
    lambda counts: Histogram((*(float(i) for i in range(len(counts) - 1)), math.inf), tuple(counts)),
    st.lists(st.integers(0), min_size=1),
)
strata = st.builds(
    Stratum,
    version=st.text(),
    start=finite,
    end=finite,
    weight=st.integers(0, 100),
    requests=st.integers(0),
    failures=st.dictionaries(st.text(), st.integers(0)),
    latency=st.none() | histograms,
    seconds=finite,
)
slos = st.builds(
    Slo, metric=st.sampled_from(Metric), limit=finite, quantile=st.none() | finite, min_requests=st.integers(0)
)
evidence = st.builds(
    Evidence, slo=slos, result=st.sampled_from(Result), sentence=st.text(), observed=st.none() | finite, log_e=finite
)
assessments = st.builds(Assessment, st.sampled_from(Verdict), st.text(), st.lists(evidence, max_size=3).map(tuple))


@given(strata)
def test_a_stratum_survives_json(stratum):
    assert decode(Stratum, json.loads(json.dumps(encode(stratum)))) == stratum


@given(assessments)
def test_an_assessment_survives_json(assessment):
    assert decode(Assessment, json.loads(json.dumps(encode(assessment)))) == assessment


def test_infinity_is_valid_json():
    text = json.dumps(encode(Histogram((1.0, math.inf), (1, 2))), allow_nan=False)
    assert decode(Histogram, json.loads(text)).edges == (1.0, math.inf)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"weight": 10, "duration": 1.0, "pause": 3}, "unknown field 'pause'"),
        ({"weight": 10}, "Stage is incomplete"),
        ({"weight": "ten", "duration": 1.0}, "Stage.weight is not of type int"),
        ({"weight": True, "duration": 1.0}, "Stage.weight is not of type int"),
        ({"weight": 10, "duration": None}, "Stage.duration is not a number"),
        ([], "Stage is not of type dict"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(value, said):
    with pytest.raises(ValueError, match=said):
        decode(Stage, value)


def test_an_unknown_member_of_an_enum_is_refused():
    with pytest.raises(ValueError, match="uptime"):
        decode(Slo, {"metric": "uptime", "limit": 1.0})
