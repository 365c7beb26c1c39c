"""Covers: numbers, times and sentences as people read them, and that nothing finite or not ever reads as nan.

Leaves out: where they are used.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.model import Metric, Slo
from fairway_steps.report import wording
from sample_records import promoted

ANY = st.floats(allow_nan=True, allow_infinity=True) | st.none()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (wording.count(4213), "4,213"),
        (wording.count(None), wording.NONE),
        (wording.percent(0.0), "0 %"),
        (wording.percent(0.00042), "0.042 %"),
        (wording.percent(0.0983), "9.83 %"),
        (wording.percent(1.0), "100 %"),
        (wording.seconds(0.0042), "4.2 ms"),
        (wording.seconds(0.1524), "152 ms"),
        (wording.seconds(1.25), "1.25 s"),
        (wording.bracketed(0.5, 0.5, math.inf), "> 500 ms"),
        (wording.bracketed(0.3, 0.25, 0.5), "300 ms"),
        (wording.duration(41.24), "41.2 s"),
        (wording.duration(192), "3 min 12 s"),
        (wording.duration(7500), "2 h 5 min"),
        (wording.moment(1_795_424_652), "2026-11-23 09:04:12 UTC"),
        (wording.period(1_795_424_652, 1_795_424_690), "2026-11-23 09:04:12 to 09:04:50 UTC"),
        (wording.period(1_795_424_652, 1_795_524_690), "2026-11-23 09:04:12 to 2026-11-24 12:51:30 UTC"),
        (wording.period(1_795_424_652, None), "2026-11-23 09:04:12 UTC"),
        (wording.iso(1_795_424_652.5), "2026-11-23T09:04:12.500Z"),
        (wording.since(10.0, 22.3), "+12.3 s"),
        (wording.quantile(0.5), "median"),
        (wording.quantile(0.99), "p99"),
        (wording.quantile(0.999), "p99.9"),
        (wording.metric(Slo(Metric.LATENCY, 0.1, 0.95)), "p95 latency"),
        (wording.measure(Slo(Metric.ERROR_RATE, 0.01), 0.01), "1 %"),
        (wording.measure(Slo(Metric.LATENCY_MEAN, 0.01), 0.01), "10 ms"),
        (wording.measure(Slo(Metric.LATENCY, 0.1, 0.95), math.inf), "beyond measure"),
        (wording.e_value(0.0), "1"),
        (wording.e_value(math.log(0.001)), "< 0.01"),
        (wording.e_value(math.log(1280)), "1,280"),
        (wording.e_value(33.0), "10^14"),
        (wording.failures({"connect": 1, "http-500": 1200, "none": 0}), "http-500 1,200, connect 1"),
        (wording.shares({"v1": 90, "v2": 10}), "v1 90 %, v2 10 %"),
    ],
)
def test_wording(told, expected):
    assert told == expected


@given(ANY)
def test_no_number_reads_as_nan_or_inf(value):
    for told in (wording.percent(value), wording.seconds(value), wording.duration(value), wording.moment(value)):
        assert told
        assert "nan" not in told
        assert "inf" not in told
    assert wording.e_value(value if value is not None else math.nan) not in ("nan", "inf", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the proxy is gone", "The proxy is gone."),
        ("v2 failed", "v2 failed."),
        ("iris is held by x.", "iris is held by x."),
        ("  why? ", "Why?"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_it_is_a_name(text, expected):
    assert wording.sentence(text, promoted()) == expected
