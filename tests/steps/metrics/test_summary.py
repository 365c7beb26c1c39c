"""A load test's summary as evidence: the same counts as its file gives, and nothing where it cannot tell.

The summaries are made by ``loadtest.summary`` as in life. Left out: the file (test_samples.py).
"""

import json
from array import array
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import Stream
from fairway_steps.loadtest.exports import exceedances
from fairway_steps.loadtest.fitting import SUMMARY_BYTES, to_json
from fairway_steps.loadtest.measured import combined, measured
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.samples import write
from fairway_steps.loadtest.streaming import Limit
from fairway_steps.loadtest.summary import summary
from fairway_steps.metrics.registry import Around, open_source
from fairway_steps.metrics.samples import SamplesSource
from fairway_steps.metrics.summary import SummarySource
from fairway_steps.model import Stratum
from load_records import records

LIMITS = (0.02, 0.1)


def told(result: Result, limits=LIMITS) -> str:
    return to_json(summary(result, [Limit(limit) for limit in limits]))


def mixed() -> Result:
    """v1: 10, 50, 200 ms and a failure; v2: 10 and 30 ms."""
    labels = {0: "v1", 1: "v1", 2: "v1", 3: "v1", 4: "v2", 5: "v2"}
    return measured([records([10, 50, 200, 5, 10, 30], versions=labels, errors={3: "http-500"})])


def below(stratum: Stratum, limit: float) -> int:
    assert stratum.latency is not None
    return sum(n for edge, n in zip(stratum.latency.edges, stratum.latency.counts, strict=True) if edge <= limit)


@given(st.lists(st.floats(0.01, 500), min_size=1, max_size=60))
def test_limits_are_exact_and_the_quantile_seen_is_near(responses: list[float]):
    result = measured([records(responses)])
    if result.meta.client_limited:
        return
    (stratum,) = SummarySource(told(result), LIMITS).read(["v2"], {}, "", 0.0).strata
    assert stratum.latency is not None
    assert min(stratum.latency.counts) >= 0
    assert list(stratum.latency.edges) == sorted(set(stratum.latency.edges))
    for limit in LIMITS:
        assert below(stratum, limit) == len(responses) - int(result.exceeded(limit).sum())


def test_the_counts_are_those_of_the_file(tmp_path: Path):
    write(mixed(), tmp_path / "s.npz")
    whole = SamplesSource(tmp_path / "s.npz", LIMITS).read(["v1", "v2"], {"v1": 90, "v2": 10}, "", 0.0)
    short = SummarySource(told(mixed()), LIMITS).read(["v1", "v2"], {"v1": 90, "v2": 10}, "", 0.0)
    assert (short.complete, short.problem) == (True, "")
    for one, other in zip(whole.strata, short.strata, strict=True):
        assert (one.version, one.weight, one.requests, one.errors) == (
            other.version,
            other.weight,
            other.requests,
            other.errors,
        )
        assert one.latency is not None
        assert other.latency is not None
        for limit in LIMITS:
            over = [
                sum(count for edge, count in zip(h.edges, h.counts, strict=True) if edge > limit)
                for h in (one.latency, other.latency)
            ]
            assert over[0] == over[1]
        assert one.latency.total == other.latency.total


def test_a_sole_version_needs_no_label():
    result = measured([records([10, 50, 200], errors={2: "timeout"})])
    (stratum,) = SummarySource(told(result), LIMITS).read(["v2"], {"v2": 10}, "", 0.0).strata
    assert (stratum.version, stratum.requests, stratum.failures) == ("v2", 3, {"timeout": 1})
    assert stratum.latency is not None
    assert below(stratum, 0.02) == 1
    assert below(stratum, 0.1) == stratum.latency.total == 2
    (named,) = SummarySource(told(result), LIMITS, "v2").read(["v1", "v2"], {}, "", 0.0).strata
    assert named.version == "v2"


def full(versions: tuple[str, ...]) -> Result:
    """Streams of these versions, failures of ten classes, and some that were cancelled: more than a summary has room for."""
    count, errors = 120, ("http-500", "http-502", "http-503", "timeout", "reset", "truncated", "stream-error")
    errors += ("grpc-resource-exhausted", "grpc-deadline-exceeded", "cancelled", "cancelled")
    made = records(
        [123.456789 + i for i in range(count)],
        versions={i: versions[i % len(versions)] for i in range(count)},
        errors={i: errors[i % 11] for i in range(0, count, 3)},
        streams={i: Stream(array("q", [i * 10**7 + 10**6, i * 10**7 + 31 * 10**5]), 7, 7, 0) for i in range(count)},
    )
    return measured([made])


def test_two_versions_of_long_names_keep_their_counts(tmp_path: Path):
    versions = ("iris-predictor-default-00001-private", "iris-predictor-default-00002-private")
    limits = (*LIMITS, 0.25, 0.5, 1.0, 2.0)
    tokens = [Limit(0.2, "ttft"), Limit(0.05, "tpot")]
    text = to_json(summary(full(versions), [*(Limit(limit) for limit in limits), *tokens]))
    assert len(text) <= SUMMARY_BYTES
    write(full(versions), tmp_path / "s.npz")
    short = SummarySource(text, limits).read(versions, {}, "", 0.0)
    whole = SamplesSource(tmp_path / "s.npz", limits).read(versions, {}, "", 0.0)
    for version in versions:
        (one,) = (s for s in short.strata if s.version == version)
        others = [s for s in whole.strata if s.version == version]
        assert (one.requests, one.errors) == (sum(s.requests for s in others), sum(s.errors for s in others))
        assert [below(one, limit) for limit in limits] == [sum(below(s, limit) for s in others) for limit in limits]


def test_a_version_that_found_no_room_is_said_to_be_missing():
    versions = tuple(f"{number}-".ljust(63, "v") for number in range(12))
    reading = SummarySource(told(full(versions)), LIMITS).read((versions[0], versions[11]), {}, "", 0.0)
    assert reading.strata == ()
    assert (
        reading.problem
        == f"the load test's summary had no room for the counts of {versions[11]}; assess its samples instead"
    )
    assert len(SummarySource(told(full(versions)), LIMITS).read(versions[:2], {}, "", 0.0).strata) == 2


def test_requests_that_may_be_anyones_are_no_evidence():
    reading = SummarySource(told(measured([records([10])])), LIMITS).read(["v1", "v2"], {}, "", 0.0)
    assert reading.strata == ()
    assert "does not tell which version" in reading.problem


def test_good_answers_of_nobody_do_not_thin_out_a_versions_failures():
    labels = dict.fromkeys(range(4), "v2")
    result = measured([records([10.0] * 40, versions=labels, errors={0: "http-503", 1: "http-503"})])
    assert SummarySource(told(result), LIMITS).read(["v1", "v2"], {}, "", 0.0).strata == ()
    (whole,) = SummarySource(told(result), LIMITS, "v2").read(["v1", "v2"], {}, "", 0.0).strata
    assert (whole.version, whole.requests) == ("v2", 40), "unless somebody says whose they are"
    assert SummarySource(told(result), LIMITS, "v1").read(["v1", "v2"], {}, "", 0.0).strata == ()


def test_several_versions_and_answers_of_nobody_are_no_evidence_on_any():
    result = measured([records([10.0] * 6, versions={0: "v1", 1: "v1", 2: "v2", 3: "v2"}, errors={4: "connect"})])
    reading = SummarySource(told(result), LIMITS).read(["v1", "v2"], {}, "", 0.0)
    assert reading.strata == ()
    assert "does not tell which version" in reading.problem


def test_what_was_cancelled_is_nobodys_failure():
    result = measured([records([10, 10], errors={1: "cancelled"})])
    (stratum,) = SummarySource(told(result), LIMITS).read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.failures) == (1, {})


@pytest.mark.parametrize("versions", [("v2",), ("v1", "v2")])
def test_what_was_cancelled_counts_as_slow_in_every_output_or_in_none(tmp_path: Path, versions: tuple[str, ...]):
    """Of each version 20 answers in 50 ms, 5 cancelled after 500 ms, 5 after 60: over one of the limits, and not known of the other."""
    each = [50.0] * 20 + [500.0] * 5 + [60.0] * 5
    count = len(versions)
    made = records(
        each * count,
        versions={i: versions[i // 30] for i in range(30 * count)},
        errors={i: "cancelled" for i in range(30 * count) if i % 30 >= 20},
    )
    result = measured([made])
    write(result, tmp_path / "s.npz")
    for source in (SummarySource(told(result), LIMITS), SamplesSource(tmp_path / "s.npz", LIMITS)):
        strata = source.read(versions, {}, "", 0.0).strata
        assert sum(s.requests for s in strata) == sum(s.latency.total for s in strata) == 25 * count
        assert (sum(below(s, 0.02) for s in strata), sum(below(s, 0.1) for s in strata)) == (0, 20 * count)
    strata = exceedances(result, [Limit(limit) for limit in LIMITS])
    assert sum(s["requests"] for s in strata) == sum(s["over"]["20"] for s in strata) == 25 * count
    assert sum(s["over"]["100"] for s in strata) == 5 * count


@pytest.mark.parametrize("answered", [0, 5])
def test_what_failed_is_over_every_limit_in_every_output(tmp_path: Path, answered: int):
    """Limits below, at and above the timeout of 500 ms: what took that long without an answer kept none of them."""
    limits = (0.1, 0.5, 2.0)
    result = measured([records([500.0] * 10, errors=dict.fromkeys(range(answered, 10), "timeout"))], version="v2")
    write(result, tmp_path / "s.npz")
    failed, over = 10 - answered, {"100": 10, "500": 10 - answered, "2000": 10 - answered}
    assert summary(result, [Limit(limit) for limit in limits])["over_ms"] == over
    (second,) = exceedances(result, [Limit(limit) for limit in limits])
    assert (second["failed"], second["over"]) == (failed, over)
    for source in (SummarySource(told(result, limits), limits), SamplesSource(tmp_path / "s.npz", limits)):
        (stratum,) = source.read(["v2"], {}, "", 0.0).strata
        assert (stratum.requests, stratum.errors) == (10, failed)
        assert [below(stratum, limit) for limit in limits] == [0, answered, answered]


def test_a_client_that_was_the_limit_is_no_evidence():
    late = measured([records([50.0] * 200, slips=[9.0] * 200)])
    reading = SummarySource(told(late), LIMITS).read(["v2"], {}, "", 0.0)
    assert reading.strata == ()
    assert "limited by its own client, so it is evidence of nothing: 200 of 200 requests" in reading.problem


@pytest.mark.parametrize(
    ("mark", "said"), [("co_corrected", "count from the sending"), ("closed_loop", "a closed loop")]
)
def test_latencies_that_leave_out_the_waiting_are_said_to(mark: str, said: str, caplog):
    result = mixed()
    SummarySource(told(replace(result, meta=replace(result.meta, **{mark: mark == "closed_loop"}))), LIMITS)
    assert [said in record.message for record in caplog.records] == [True]


def test_it_is_read_once():
    source = SummarySource(told(mixed()), LIMITS)
    cursor = source.read(["v1", "v2"], {}, "", 0.0).cursor
    assert source.read(["v1", "v2"], {}, cursor, 1.0).strata == ()


def test_paired_endpoints_are_told_apart():
    whole = combined({"a": measured([records([10])], version="v1"), "b": measured([records([50])], version="v2")})
    strata = SummarySource(told(whole), LIMITS).read(["v1", "v2"], {}, "", 0.0).strata
    assert [(s.version, s.requests) for s in strata] == [("v1", 1), ("v2", 1)]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"over_ms": 3}', '{"over_ms": {}, "errors": {}}'])
def test_a_text_that_is_none_is_one_sentence(text: str):
    with pytest.raises(UsageError, match="is no load test's summary"):
        SummarySource(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("requests", "6"),
        ("requests", -6),
        ("errors", {"http-500": 0.5}),
        ("over_ms", {"20": "3", "100": 1}),
        ("over_ms", {"20": -3, "100": 1}),
        ("over_ms", {"x": 3, "100": 1}),
        ("over_ms", {"1e400": 3, "100": 1}),
        ("over_ms", {"20": 3}),  # the versions tell two
        ("over_ms", {"20": 7, "100": 1}),
        ("errors", {"timeout": 7}),
        ("response_ms", None),
        ("response_ms", {"p50": "10"}),
        ("started", "today"),
        ("started", float("nan")),
        ("client_limited", "false"),
        ("achieved_rate", "5"),
        ("versions", None),
        ("versions", {"v1": None}),
        ("by_version", {"v1": [4]}),
        ("by_version", {"v1": 4}),
        ("moved", 3),
        ("overdue", -1),
    ],
)
def test_a_summary_with_a_field_that_cannot_be_is_none(key: str, value: object):
    whole = json.loads(told(mixed()))
    assert SummarySource(json.dumps(whole), LIMITS).read(["v1", "v2"], {}, "", 0.0).strata
    with pytest.raises(UsageError, match="is no load test's summary, by its"):
        SummarySource(json.dumps(whole | {key: value}), LIMITS)


@pytest.mark.parametrize(
    "key", ["requests", "errors", "over_ms", "response_ms", "started", "client_limited", "achieved_rate"]
)
def test_a_summary_without_a_field_is_none(key: str):
    whole = json.loads(told(mixed()))
    del whole[key]
    with pytest.raises(UsageError, match=f"is no load test's summary, by its '{key}'"):
        SummarySource(json.dumps(whole), LIMITS)


def test_limits_of_many_digits_are_told_apart():
    limits = (0.0123456789, 0.01234568, 1 / 3)
    assert list(json.loads(told(mixed(), limits))["over_ms"]) == ["12.3456789", "12.34568", "333.333333333"]
    assert SummarySource(told(mixed(), limits), limits).read(["v1", "v2"], {}, "", 0.0).strata


def test_a_limit_that_was_not_counted_is_refused():
    with pytest.raises(UsageError, match=r"how many requests were over 250 ms; it tells 20 ms, 100 ms"):
        SummarySource(told(mixed()), (0.25,))


def test_the_registry_opens_it_and_the_file_with_the_version_tested(tmp_path: Path):
    result = measured([records([10])])
    write(result, tmp_path / "s.npz")
    for text in (f"samples:{tmp_path}/s.npz#version=v2", f"summary:{told(result)}#version=v2"):
        source = open_source(text, "iris", Around(limits=LIMITS))
        (stratum,) = source.read(["v1", "v2"], {}, "", 0.0).strata
        assert (stratum.version, stratum.requests) == ("v2", 1)
    odd = json.loads(told(result)) | {"reason": "one of #3"}
    assert open_source(f"summary:{json.dumps(odd)}", "iris").read(["v2"], {}, "", 0.0).strata
    with pytest.raises(UsageError, match="says nothing of a load test"):
        open_source(f"samples:{tmp_path}/s.npz#versio=v2", "iris")


def test_what_one_of_several_endpoints_answers_without_a_name_is_nobodys():
    """A plain stable beside a canary, whose slow answers would be thinned out."""
    told_ = json.loads(told(mixed())) | {"versions": {"v2": 5}, "requests": 10, "errors": {}}
    told_.pop("by_version", None)
    assert SummarySource(json.dumps(told_), LIMITS).read(["v2"], {}, "", 0.0).strata
    several = SummarySource(json.dumps(told_ | {"endpoints": 2}), LIMITS).read(["v2"], {}, "", 0.0)
    assert several.strata == ()
    assert "say which version was tested" in several.problem
