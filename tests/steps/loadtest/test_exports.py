"""Strata as JSON, and an HdrHistogram log that another library reads. Left out: what an assessment makes of strata."""

import json
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from fairway_steps.errors import DomainError
from fairway_steps.loadtest.exports import exceedances, write_exceedances, write_hdr
from fairway_steps.loadtest.hdr import encoded
from fairway_steps.loadtest.measured import combined, measured
from fairway_steps.loadtest.streaming import Limit
from fairway_steps.loadtest.summary import summary
from load_records import records


def test_counts_by_version_and_second():
    made = records(
        [10, 300, 10, 5, 300],
        gap=400,
        versions={0: "v1", 1: "v2", 2: "v1", 3: "v2"},
        errors={3: "http-500", 4: "cancelled"},
    )
    result = measured([made])
    start = result.meta.started
    assert exceedances(result, [Limit(0.25), Limit(0.001)]) == [
        {"version": "v1", "start": start, "seconds": 1, "requests": 2, "failed": 0, "over": {"250": 0, "1": 2}},
        {"version": "v2", "start": start, "seconds": 1, "requests": 1, "failed": 0, "over": {"250": 1, "1": 1}},
        {"version": "", "start": start + 1, "seconds": 1, "requests": 1, "failed": 0, "over": {"250": 1, "1": 1}},
        {"version": "v2", "start": start + 1, "seconds": 1, "requests": 1, "failed": 1, "over": {"250": 1, "1": 1}},
    ]


def test_the_file_says_whether_it_is_evidence(tmp_path: Path):
    result = measured([records([50.0] * 200, slips=[9.0] * 200)])
    write_exceedances(result, [Limit(0.01)], tmp_path / "e.json")
    told = json.loads((tmp_path / "e.json").read_text())
    assert "sent more than 1 ms late" in told["client_limited"]
    assert sum(stratum["over"]["10"] for stratum in told["strata"]) == 200
    with pytest.raises(DomainError, match="cannot be written"):
        write_exceedances(result, [], tmp_path)


def test_the_hdr_log_is_read_by_the_reference_reader(tmp_path: Path):
    responses = np.random.default_rng(3).lognormal(3, 0.5, 2000)
    result = measured([records(list(responses))])
    write_hdr(result, tmp_path / "h.hlog")
    reader = HistogramLogReader(str(tmp_path / "h.hlog"), HdrHistogram(1, 3_600_000_000, 3))
    histogram = reader.get_next_interval_histogram()
    reader.input_file.close()
    assert histogram is not None
    assert histogram.get_total_count() == 2000
    for q in (50, 99, 99.9):
        assert histogram.get_value_at_percentile(q) / 1000 == pytest.approx(np.percentile(responses, q), rel=0.01)


def read(path: Path) -> list[HdrHistogram]:
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    found = list(iter(reader.get_next_interval_histogram, None))
    reader.close()
    return found


def test_each_endpoint_and_version_has_a_histogram_of_its_own(tmp_path: Path):
    one = records([10.0, 20.0, 30.0], versions={0: "v1", 1: "v1", 2: "v 1,a"})
    other = records([40.0, 50.0], errors={1: "http-500"})
    write_hdr(combined({"east": measured([one]), "west/2": measured([other])}), tmp_path / "h.hlog")
    found = {
        each.get_tag(): (each.get_total_count(), each.get_max_value() // 1000) for each in read(tmp_path / "h.hlog")
    }
    assert found == {"east/v1": (2, 20), "east/v%201%2Ca": (1, 30), "west%2F2": (1, 40)}


@pytest.mark.parametrize("answered", [0, 3])
def test_what_has_no_name_is_one_histogram_without_a_tag(tmp_path: Path, answered: int):
    errors = dict.fromkeys(range(answered, 3), "timeout")
    write_hdr(measured([records([10.0] * 3, errors=errors)]), tmp_path / "h.hlog")
    assert [(each.get_tag(), each.get_total_count()) for each in read(tmp_path / "h.hlog")] == [(None, answered)]


def test_after_a_warm_up_it_all_begins_at_the_first_request_that_counts(tmp_path: Path):
    result = measured([records([10.0] * 7, gap=400, warm_up=3)])
    begun = result.meta.started + 1.2
    assert summary(result)["started"] == round(begun, 1)
    assert exceedances(result, [])[0]["start"] == result.meta.started + 1
    write_hdr(result, tmp_path / "h.hlog")
    (histogram,) = read(tmp_path / "h.hlog")
    assert histogram.get_start_time_stamp() == pytest.approx(begun * 1000, abs=1)
    assert histogram.get_end_time_stamp() == pytest.approx((begun + 1.2) * 1000, abs=1)


@pytest.mark.parametrize(
    "values", [[], [1], [2047, 2048, 2049], [1] * 300 + [3_600_000_000], list(range(1, 9_000_000, 997))]
)
def test_a_histogram_is_encoded_as_the_reference_does(values: list[int]):
    reference = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        reference.record_value(value)
    read = HdrHistogram.decode(encoded(np.array(values, np.int64), 3_600_000_000))
    assert read.get_total_count() == len(values)
    assert [read.get_count_at_index(i) for i in range(read.counts_len)] == [
        reference.get_count_at_index(i) for i in range(reference.counts_len)
    ]
    assert read.get_max_value() == reference.get_max_value()
