"""Another tool's file as evidence: its counts become strata, and what it cannot tell is refused or said.

Left out: the files themselves (loadtest/adapters/test_tools.py).
"""

import json
import logging
from pathlib import Path

import pytest

from fairway_steps.assess import assess
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.registry import open_foreign
from fairway_steps.loadtest.adapters.samples import to_result
from fairway_steps.loadtest.adapters.summary import summary
from fairway_steps.loadtest.fitting import to_json
from fairway_steps.loadtest.samples import write
from fairway_steps.metrics.foreign import ForeignSource
from fairway_steps.metrics.samples import SamplesSource
from fairway_steps.metrics.summary import SummarySource
from fairway_steps.model import Metric, Slo

FIXTURES = Path(__file__).parents[1] / "loadtest/adapters/fixtures"


def source(uri: str, *limits: float, version: str = "") -> ForeignSource:
    tool, _, name = uri.partition(":")
    return ForeignSource(f"{tool}:{FIXTURES / name}", limits, version)


def test_every_request_of_a_raw_file_is_in_the_strata_of_its_second():
    reading = source("ghz:ghz-0.121.0-failing.json", 0.0123).read(["v2"], {"v2": 10}, "", 0.0)
    assert (reading.complete, reading.problem) == (True, "")
    assert sum(stratum.requests for stratum in reading.strata) == 30
    assert sum(stratum.errors for stratum in reading.strata) == 10
    assert all(
        stratum.version == "v2" and stratum.weight == 10 and stratum.end - stratum.start == 1
        for stratum in reading.strata
    )
    assert all(0.0123 in stratum.latency.edges for stratum in reading.strata)
    assert sum(stratum.latency.total for stratum in reading.strata) == 20


def test_buckets_are_one_stratum_with_their_own_edges():
    data = json.loads((FIXTURES / "fortio-1.57.3.json").read_text())["DurationHistogram"]
    (stratum,) = source("fortio:fortio-1.57.3.json").read(["v2"], {}, "", 0.0).strata
    assert stratum.requests == data["Count"]
    assert stratum.latency.total == data["Count"] - stratum.errors
    assert {bucket["End"] for bucket in data["Data"]} <= set(stratum.latency.edges)
    assert 0 < stratum.seconds < data["Sum"]


def test_a_limit_within_a_bucket_is_refused():
    with pytest.raises(UsageError, match="lies across the limit of 21 ms"):
        source("fortio:fortio-1.57.3.json", 0.021).read(["v2"], {}, "", 0.0)


def test_a_file_without_latencies_judges_errors_and_refuses_latencies():
    (stratum,) = source("k6:k6-0.57.0-summary.json").read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.latency) == (61, None) or stratum.requests == 60
    with pytest.raises(UsageError, match="has no latencies to hold against 50 ms"):
        source("k6:k6-0.57.0-summary.json", 0.05).read(["v2"], {}, "", 0.0)


def test_a_run_is_read_once():
    ghz = source("ghz:ghz-0.121.0.json")
    first = ghz.read(["v2"], {}, "", 0.0)
    again = ghz.read(["v2"], {}, first.cursor, 1.0)
    assert (again.strata, again.cursor, again.complete) == ((), first.cursor, True)


@pytest.mark.parametrize("uri", ["fortio:fortio-1.57.3-behind.json", "k6:k6-0.57.0-dropped.json"])
def test_a_run_limited_by_its_client_is_evidence_of_nothing(uri):
    reading = source(uri).read(["v2"], {}, "", 0.0)
    assert reading.strata == ()
    assert "limited by its own client, so it is evidence of nothing" in reading.problem


def test_of_two_versions_the_file_must_be_said_to_be_of_one():
    reading = source("ghz:ghz-0.121.0.json").read(["v1", "v2"], {}, "", 0.0)
    assert (reading.strata, "say which version it tested" in reading.problem) == ((), True)
    reading = source("ghz:ghz-0.121.0.json", version="v2").read(["v1", "v2"], {}, "", 0.0)
    assert {stratum.version for stratum in reading.strata} == {"v2"}


def test_uncorrected_latencies_are_said_once(caplog):
    with caplog.at_level(logging.WARNING, "fairway_steps"):
        ghz = source("ghz:ghz-0.121.0.json")
        cursor = ghz.read(["v2"], {}, "", 0.0).cursor
        ghz.read(["v2"], {}, cursor, 1.0)
        source("guidellm:guidellm-0.8.1.json").read(["v2"], {}, "", 0.0)
    assert [record.message.split(" ", 1)[0] for record in caplog.records] == ["ghz"]


def test_a_version_that_hangs_until_the_end_is_slow(tmp_path):
    """Of a file, of its samples and of its summary alike: a third had waited for more than the limit when the tool ended."""
    report = json.loads((FIXTURES / "guidellm-0.8.1.json").read_text())
    benchmark = report["benchmarks"][0]
    fine = benchmark["requests"]["successful"]
    hung = fine[: len(fine) // 3]
    for request in hung:
        request["request_end_time"] += 60
    benchmark["requests"] = {"successful": fine[len(hung) :], "incomplete": hung}
    benchmark["metrics"]["request_totals"] |= {"successful": len(fine) - len(hung)}
    path = tmp_path / "hangs.json"
    path.write_text(json.dumps(report))
    run = open_foreign(f"guidellm:{path}")
    write(to_result(run), tmp_path / "s.npz")
    sources = (
        ForeignSource(f"guidellm:{path}", [0.25]),
        SamplesSource(tmp_path / "s.npz", [0.25]),
        SummarySource(to_json(summary(run, [0.25])), [0.25]),
    )
    for source in sources:
        strata = source.read(["v2"], {}, "", 0.0).strata
        slow = sum(sum(row.latency.counts[row.latency.edges.index(0.25) + 1 :]) for row in strata)
        assert (sum(row.requests for row in strata), slow >= len(hung)) == (len(fine), True), source


@pytest.mark.parametrize(
    ("quantile", "cut", "verdict"), [(0.999, 100, "hold"), (0.99, 100, "advance"), (0.999, 5, "advance")]
)
def test_what_was_broken_off_without_its_age_holds_a_quantile_that_allows_less(tmp_path, quantile, cut, verdict):
    """Of a file and of its summary alike; it neither failed nor succeeded."""
    report = json.loads((FIXTURES / "oha-1.16.0-breakdown.json").read_text())
    report |= {
        "statusCodeDistribution": {"200": 20_000},
        "errorDistribution": {"aborted due to deadline": cut},
        "responseTimeHistogramSuccessful": {"0.1": 20_000},
    }
    (tmp_path / "o.json").write_text(json.dumps(report))
    uri = f"oha:{tmp_path}/o.json"
    for source in (ForeignSource(uri, [0.1]), SummarySource(to_json(summary(open_foreign(uri), [0.1])), [0.1])):
        strata = source.read(["v2"], {}, "", 0.0).strata
        assert sum(row.requests for row in strata) == 20_000
        found = assess([Slo(Metric.LATENCY, 0.1, quantile)], strata, candidate="v2")
        assert found.verdict == verdict, found.reason
        assert (found.reason.endswith("how long 100 requests took is not known")) is (verdict == "hold")
