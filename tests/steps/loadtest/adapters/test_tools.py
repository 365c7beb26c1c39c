"""Files that the tools themselves wrote, read and held against what the very files say in other words.

Left out: what is done with a run afterwards (test_foreign.py, metrics/test_foreign.py). How the files were made: fixtures/README.md.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.foreign import Foreign
from fairway_steps.loadtest.adapters.registry import TOOLS, open_foreign
from fairway_steps.loadtest.adapters.samples import to_result
from fairway_steps.loadtest.adapters.summary import summary
from fairway_steps.loadtest.fitting import to_json

FIXTURES = Path(__file__).with_name("fixtures")


def opened(uri: str) -> Foreign:
    tool, _, name = uri.partition(":")
    return open_foreign(f"{tool}:{FIXTURES / name}")


def told(name: str) -> dict:
    return json.loads((FIXTURES / name).read_text())


def latencies(run: Foreign) -> np.ndarray:
    """Seconds of the successes."""
    rows = run.rows
    return np.array([e - s for s, e, x in zip(rows.sent, rows.end, rows.error, strict=True) if not x]) / 1e9


FORTIO = sorted(path.name for path in FIXTURES.glob("fortio-*.json") if "access" not in path.name)


@pytest.mark.parametrize("name", FORTIO)
def test_fortio_counts_what_its_buckets_count(name):
    data, run = told(name), opened(f"fortio:{name}")
    assert (run.exact, run.corrected) == (False, False)
    assert run.requests == data["DurationHistogram"]["Count"]
    assert run.failed == (data["ErrorsDurationHistogram"] or {"Count": 0})["Count"]
    for bucket in data["DurationHistogram"]["Data"]:
        over_all = round(run.requests * (1 - bucket["Percent"] / 100))
        failed_over = sum(
            b["Count"] for b in data["ErrorsDurationHistogram"]["Data"] or [] if b["End"] > bucket["End"] * 1.0000001
        )
        assert run.over(bucket["End"]) == run.failed + over_all - failed_over


def test_fortio_without_failures_is_quoted_with_its_own_percentiles():
    data, run = told("fortio-1.57.3-grpc.json"), opened("fortio:fortio-1.57.3-grpc.json")
    assert run.failures == {}
    told_p50 = next(p["Value"] for p in data["DurationHistogram"]["Percentiles"] if p["Percentile"] == 50)
    assert run.reported["p50"] == pytest.approx(told_p50 * 1000)


def test_fortios_failures_have_classes():
    assert list(opened("fortio:fortio-1.57.3.json").failures) == ["http-503"]
    assert opened("fortio:fortio-1.57.3-refused.json").failures == {"connect": 100}
    assert opened("fortio:fortio-1.57.3-refused.json").over(1e-9) == 100
    assert opened("fortio:fortio-1.57.3-grpc-failing.json").failures == {"other": 50}


def test_fortio_that_kept_its_rate_is_not_limited_and_one_that_did_not_is():
    assert opened("fortio:fortio-1.57.3.json").limited == ""
    assert (
        opened("fortio:fortio-1.57.3-exactly.json").limited == ""
    )  # one thread does the rest, so the rate is lower by design
    closed = opened("fortio:fortio-1.57.3-closed.json")
    assert (closed.requested_rate, closed.limited) == (None, "")
    assert "requests per second of the planned 400" in opened("fortio:fortio-1.57.3-behind.json").limited


def test_fortios_access_log_has_every_request():
    run = opened("fortio:fortio-1.57.3-access.json")
    lines = [json.loads(line) for line in (FIXTURES / "fortio-1.57.3-access.json").read_text().splitlines()]
    assert (run.exact, run.requests) == (True, len(lines))
    assert run.failed == sum(not line["ok"] for line in lines) > 0
    assert sorted(latencies(run)) == pytest.approx(sorted(line["latency"] for line in lines if line["ok"]))
    assert run.started == pytest.approx(min(line["timestamp"] for line in lines) / 1e9)


def test_an_older_fortio_that_mixes_failures_in_gives_no_latencies(tmp_path):
    data = told("fortio-1.57.3.json")
    del data["ErrorsDurationHistogram"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data))
    run = open_foreign(f"fortio:{path}")
    assert run.failed > 0
    with pytest.raises(UsageError, match="has no latencies to hold against 20 ms: this version mixes"):
        run.over(0.02)


GHZ = sorted(path.name for path in FIXTURES.glob("ghz-*.json") if not path.stem.endswith(("-ended", "-cut")))


@pytest.mark.parametrize("name", GHZ)
def test_ghz_has_every_request(name):
    data, run = told(name), opened(f"ghz:{name}")
    successes = data["statusCodeDistribution"]["OK"]
    assert (run.exact, run.corrected) == (True, False)
    assert (run.requests, run.requests - run.failed) == (data["count"], successes)
    for share in data["latencyDistribution"]:
        rank = max(1, int(np.ceil(successes * share["percentage"] / 100)))
        assert run.over(share["latency"] / 1e9) == run.failed + successes - rank


def test_ghzs_moments_are_ends():
    run = opened("ghz:ghz-0.121.0-apart.json")  # two calls at once, one of 10 ms and one of 700 ms
    assert abs(run.rows.sent[0] - run.rows.sent[1]) < 0.2e9
    assert abs(run.rows.end[0] - run.rows.end[1]) > 0.5e9


def test_ghzs_statuses_are_our_classes():
    assert opened("ghz:ghz-0.121.0-failing.json").failures == {"grpc-resource-exhausted": 10}


@pytest.mark.parametrize("detailed", [True, False])
@pytest.mark.parametrize(
    ("name", "failures", "limits"),
    [
        ("ended", {"cancelled": 4}, {False: "how long they had waited"}),
        ("cancelled", {"grpc-cancelled": 10}, {}),
        ("cut", {"grpc-cancelled": 6}, dict.fromkeys((True, False), "or the server, broke 6 calls off")),
    ],
)
def test_ghz_at_its_end_breaks_off_calls_that_are_nobodys_failures(name, failures, limits, detailed, tmp_path):
    """What a server says it cancelled it did; whose word ``context canceled`` is, ghz's own by --stream-call-duration or the server's, cannot be told.

    Nor, without details, how long a call had been under way.
    """
    data = told(f"ghz-0.121.0-{name}.json")
    if not detailed:
        del data["details"]
    (tmp_path / "x").write_text(json.dumps(data))
    run = open_foreign(f"ghz:{tmp_path}/x")
    assert (run.failures, bool(run.limited)) == (failures, detailed in limits)
    assert limits.get(detailed, "") in run.limited
    assert run.failed == sum(count for kind, count in failures.items() if kind != "cancelled")


@pytest.mark.parametrize("change", [{"endReason": "normal"}, {"options": {"concurrency": 3}}])
def test_what_cannot_be_ghzs_own_end_is_a_failure(change, tmp_path):
    """Each of its workers has one call under way at the end, and no run that ended by itself breaks any off."""
    (tmp_path / "x").write_text(json.dumps(told("ghz-0.121.0-ended.json") | change))
    assert open_foreign(f"ghz:{tmp_path}/x").failures == {"grpc-unavailable": 4}


@pytest.mark.parametrize("name", GHZ)
def test_ghz_without_its_details_still_tells_at_its_marks(name, tmp_path):
    data = told(name)
    exact = opened(f"ghz:{name}")
    del data["details"]
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(data))
    run = open_foreign(f"ghz:{path}")
    assert run.exact is False
    assert (run.requests, run.failures) == (exact.requests, exact.failures)
    for mark in data["histogram"]:
        # ghz writes its marks rounded down to whole nanoseconds or not: allow for one
        assert run.over(mark["mark"]) == exact.over(mark["mark"] + 1e-9)


def test_ghz_that_kept_a_part_of_its_requests_is_refused(tmp_path):
    data = told("ghz-0.121.0.json")
    data["details"] = data["details"][:10]
    path = tmp_path / "part.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="has 10 of ghz's 60 requests"):
        open_foreign(f"ghz:{path}")


VEGETA = sorted(path.name.removesuffix(".csv") for path in FIXTURES.glob("vegeta-*.csv"))


@pytest.mark.parametrize("name", VEGETA)
def test_vegetas_forms_agree(name):
    raw, as_csv = opened(f"vegeta:{name}.json"), opened(f"vegeta:{name}.csv")
    assert raw == as_csv
    report = opened(f"vegeta:{name}-report.json")
    assert (report.requests, report.failures) == (raw.requests, raw.failures)
    data = told(f"{name}-report.json")["latencies"]
    every = [end - begin for begin, end in zip(raw.rows.sent, raw.rows.end, strict=True)]
    assert (max(every), sum(every)) == (data["max"], data["total"])
    buckets = told(f"{name}-buckets.json")["buckets"]
    edges = sorted(int(edge) for edge in buckets)
    assert [buckets[str(edge)] for edge in edges] == np.histogram(every, [*edges, 10**12])[0].tolist()


def test_vegetas_buckets_are_used_where_nothing_failed(tmp_path):
    data = told("vegeta-12.13.0-buckets.json") | {"status_codes": {"200": 60}}
    path = tmp_path / "well.json"
    path.write_text(json.dumps(data))
    run = open_foreign(f"vegeta:{path}")
    every = opened("vegeta:vegeta-12.13.0.json").rows
    slow = sum(end - begin >= 20_000_000 for begin, end in zip(every.sent, every.end, strict=True))
    assert run.over(0.02) == slow
    with pytest.raises(
        UsageError, match="lies across the limit of 30 ms; use a limit on an edge, such as 20 ms or 50 ms"
    ):
        run.over(0.03)


def test_vegetas_buckets_of_failed_requests_are_not_used():
    with pytest.raises(UsageError, match="its buckets mix in the failed requests; use `vegeta encode`"):
        opened("vegeta:vegeta-12.13.0-buckets.json").over(0.02)


def test_vegetas_errors_have_classes():
    assert opened("vegeta:vegeta-12.13.0-refused.json").failures == {"connect": 10}


def test_vegetas_answers_that_break_off_after_their_head_failed(tmp_path):
    rows = [json.loads(line) for line in (FIXTURES / "vegeta-12.13.0.json").read_text().splitlines()]
    fine = [row for row in rows if row["code"] == 200]
    fine[0]["error"], fine[1]["error"] = "unexpected EOF", "net/http: request canceled (Client.Timeout exceeded)"
    path = tmp_path / "broken.json"
    path.write_text("\n".join(json.dumps(row) for row in fine))
    assert open_foreign(f"vegeta:{path}").failures == {"reset": 1, "timeout": 1}


def test_vegetas_binary_form_is_told():
    with pytest.raises(UsageError, match="binary form; write it with `vegeta encode`"):
        opened("vegeta:vegeta-12.13.0.gob")


K6 = sorted(path.name.removesuffix(".csv") for path in FIXTURES.glob("k6-*.csv"))


@pytest.mark.parametrize("name", K6)
def test_k6s_points_are_what_its_summary_sums_up(name):
    run, summary = opened(f"k6:{name}.json"), told(f"{name}-summary.json")["metrics"]
    assert run.exact
    assert run.requests == summary["http_reqs"]["count"]
    assert run.failed == summary["http_req_failed"]["passes"]
    every = np.array([end - begin for begin, end in zip(run.rows.sent, run.rows.end, strict=True)]) / 1e6
    duration = summary["http_req_duration"]
    assert [every.min(), np.median(every), np.quantile(every, 0.95), every.max()] == pytest.approx(
        [duration["min"], duration["med"], duration["p(95)"], duration["max"]], abs=1e-3
    )
    assert list(run.failures) == ["http-503"]


@pytest.mark.parametrize("name", K6)
def test_k6s_csv_is_read_too(name):
    run = opened(f"k6:{name}.csv")
    assert run.exact
    assert list(run.failures) == ["http-503"]
    assert run.requests in (60, 61)


@pytest.mark.parametrize("name", K6)
def test_k6s_summary_judges_errors_alone(name):
    raw, run = opened(f"k6:{name}.json"), opened(f"k6:{name}-summary.json")
    assert (run.requests, run.failed) == (raw.requests, raw.failed)
    with pytest.raises(UsageError, match="has no latencies to hold against 50 ms: a summary has quantiles, no counts"):
        run.over(0.05)


def test_k6_that_dropped_iterations_is_limited():
    assert opened("k6:k6-0.57.0.json").limited == ""
    assert "k6 could not send" in opened("k6:k6-0.57.0-dropped.json").limited


@pytest.mark.parametrize("tag", ["expected_response", "status"])
def test_k6s_failures_are_told_by_the_status_or_refused_without(tmp_path, tag):
    points = [json.loads(line) for line in (FIXTURES / "k6-0.57.0.json").read_text().splitlines()]
    for point in points:
        (point["data"].get("tags") or {}).pop(tag, None)
    path = tmp_path / "untagged.json"
    path.write_text("\n".join(json.dumps(point, separators=(",", ":")) for point in points))
    if tag != "status":
        assert open_foreign(f"k6:{path}").failures == opened("k6:k6-0.57.0.json").failures
        return
    with pytest.raises(UsageError, match=r"without the status of each request.*keep `status` among its --system-tags"):
        open_foreign(f"k6:{path}")


def test_k6s_errors_have_classes():
    assert list(opened("k6:k6-0.57.0-refused.json").failures) == ["connect"]


def test_guidellm_counts_from_when_a_request_was_due():
    data, run = told("guidellm-0.8.1.json")["benchmarks"][0], opened("guidellm:guidellm-0.8.1.json")
    assert (run.exact, run.corrected, run.requested_rate, run.limited) == (True, True, 10.0, "")
    assert run.requests - sum(run.failures.values()) == data["metrics"]["request_totals"]["successful"]
    assert (run.failures, run.failed) == ({"cancelled": len(data["requests"]["incomplete"])}, 0)
    served = sorted(request["request_latency"] for request in data["requests"]["successful"])
    assert sorted(latencies(run)) == pytest.approx(served, abs=1e-6)
    due = [request["request_scheduled_latency"] for request in data["requests"]["successful"]]
    assert run.over(sorted(due)[-6]) == 5


def test_guidellms_errors_have_classes():
    run = opened("guidellm:guidellm-0.8.1-errors.json")
    assert run.failures == {"http-500": 26}
    assert run.requests == 45


def test_an_older_guidellm():
    run = opened("guidellm:guidellm-0.3-schema.json")
    assert (run.requests, run.failures, run.corrected) == (3, {"timeout": 1}, True)
    assert latencies(run) == pytest.approx([0.1, 0.2], abs=1e-6)
    assert run.over(0.205) == 2  # one came 0.21 s after it was due, one failed


def test_guidellm_of_several_benchmarks_needs_a_number(tmp_path):
    data = told("guidellm-0.8.1.json")
    data["benchmarks"] *= 2
    path = tmp_path / "two.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"has 2 benchmarks; name one, such as guidellm:.*#benchmark=1"):
        open_foreign(f"guidellm:{path}")
    assert open_foreign(f"guidellm:{path}#benchmark=2") == opened("guidellm:guidellm-0.8.1.json")
    with pytest.raises(UsageError, match="has no benchmark 3, only 2"):
        open_foreign(f"guidellm:{path}#benchmark=3")


def test_guidellm_that_kept_a_sample_is_refused(tmp_path):
    data = told("guidellm-0.8.1.json")
    data["benchmarks"][0]["requests"]["successful"].pop()
    path = tmp_path / "sample.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="has 47 of guidellm's 48 successful requests: it kept a sample"):
        open_foreign(f"guidellm:{path}")


def test_inference_perf_has_every_request_and_its_stage_the_rates():
    stage = told("inference-perf-0.7.0/stage_0_lifecycle_metrics.json")
    run = opened("inference-perf:inference-perf-0.7.0")
    assert run == opened("inference-perf:inference-perf-0.7.0/per_request_lifecycle_metrics.json")
    assert (run.exact, run.corrected, run.requested_rate, run.limited) == (True, False, 10.0, "")
    assert run.requests == stage["load_summary"]["count"]
    assert run.failures == {"http-500": stage["failures"]["count"]}
    latency = stage["successes"]["latency"]["request_latency"]
    assert np.quantile(latencies(run), [0.5, 0.99]) == pytest.approx([latency["median"], latency["p99"]], abs=1e-6)


def test_a_stage_of_inference_perf_judges_errors_alone():
    run = opened("inference-perf:inference-perf-0.7.0/stage_0_lifecycle_metrics.json")
    assert (run.requests, run.failed) == (50, 15)
    with pytest.raises(UsageError, match="a stage's summary has quantiles, no counts"):
        run.over(0.1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"achieved_rate": 5.0}, "sent 5 requests per second of the planned 10"),
        ({"schedule_delay": {"median": 19.5}}, "sent half of the requests more than 19.5 s late"),
    ],
)
def test_an_inference_perf_that_fell_behind_is_limited(changed, says, tmp_path):
    stage = told("inference-perf-0.7.0/stage_0_lifecycle_metrics.json")
    stage["load_summary"] |= changed
    (tmp_path / "stage_0_lifecycle_metrics.json").write_text(json.dumps(stage))
    name = "per_request_lifecycle_metrics.json"
    (tmp_path / name).write_bytes((FIXTURES / "inference-perf-0.7.0" / name).read_bytes())
    assert says in open_foreign(f"inference-perf:{tmp_path}").limited


OHA = sorted(path.name.removesuffix(".csv") for path in FIXTURES.glob("oha-*.csv"))


@pytest.mark.parametrize("name", OHA)
def test_oha_tells_at_the_edges_of_its_histogram(name):
    data, run = told(f"{name}-breakdown.json"), opened(f"oha:{name}-breakdown.json")
    assert (run.exact, run.corrected) == (False, False)
    codes = data["statusCodeDistribution"]
    broken_off = data["errorDistribution"]["aborted due to deadline"]
    assert (run.failures, run.failed) == ({"http-503": codes["503"], "cancelled": broken_off}, codes["503"])
    assert run.requests == sum(codes.values()) + broken_off
    counts = {float(edge): count for edge, count in data["responseTimeHistogramSuccessful"].items()}
    for edge in counts:
        assert run.over(edge) == run.failed + sum(count for other, count in counts.items() if other > edge)
    assert run.reported["p99"] == pytest.approx(data["latencyPercentilesSuccessful"]["p99"] * 1000)


@pytest.mark.parametrize("name", OHA)
def test_oha_that_mixes_statuses_judges_errors_alone(name):
    run = opened(f"oha:{name}.json")
    assert run.failed > 0
    with pytest.raises(UsageError, match="use oha --stats-success-breakdown"):
        run.over(0.05)


@pytest.mark.parametrize("name", OHA)
def test_ohas_csv_is_refused_for_it_leaves_failures_out(name):
    with pytest.raises(UsageError, match="leaves out the requests without an answer"):
        opened(f"oha:{name}.csv")


SUMMED = ["fortio:" + name for name in FORTIO] + [
    *("oha:oha-1.16.0-refused.json", "vegeta:vegeta-12.13.0-refused.json", "k6:k6-0.57.0-refused.json"),
    "guidellm:guidellm-0.8.1-errors.json",
]


@pytest.mark.parametrize("uri", SUMMED)
def test_every_run_has_a_summary_even_if_all_of_it_failed(uri):
    run = opened(uri)
    made = json.loads(to_json(summary(run, [0.1] if run.exact else [])))
    assert made["requests"] == run.requests
    assert (made["service_ms"]["max"] is None) is (run.failed == run.requests)


def test_numbers_beyond_all_measure_are_not_repeated(tmp_path):
    data = told("oha-1.16.0-breakdown.json")
    data["summary"]["requestsPerSec"] = data["latencyPercentilesSuccessful"]["p99"] = 1e308 * 10
    (tmp_path / "x").write_text(json.dumps(data))
    made = summary(open_foreign(f"oha:{tmp_path}/x"))
    assert (made["achieved_rate"], made["service_ms"]["p99"]) == (None, None)
    json.dumps(made, allow_nan=False)


def test_a_failure_of_fortio_that_is_no_request_is_refused(tmp_path):
    data = told("fortio-1.57.3.json")
    data["ErrorsDurationHistogram"]["Data"][0] |= {"Start": 900, "End": 901}
    (tmp_path / "x").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="counts errors where it has no requests"):
        open_foreign(f"fortio:{tmp_path}/x")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "", "{", "[]", "{}", '{"a": 1}', "\x00\x01", "1,2\n", '{"benchmarks": 3}', '{"metrics": []}'],
)
def test_a_file_of_something_else_is_one_sentence(tool, content, tmp_path):
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        open_foreign(f"{tool}:{path}")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("fortio-1.57.3-access.json", '"latency":', '"latency":-'),
        ("ghz-0.121.0.json", '"latency":13', '"latency":-13'),
        ("vegeta-12.13.0.json", '"latency":', '"latency":-'),
        ("vegeta-12.13.0-report.json", '"requests":', '"requests":0,"x":'),
        ("k6-1.0.0-summary.json", '"count": ', '"count": -'),
        ("k6-1.0.0-summary.json", '"rate": ', '"rate": NaN, "x": '),
    ],
)
def test_figures_that_no_run_can_have_are_refused(name, old, new, tmp_path):
    text = (FIXTURES / name).read_text()
    assert old in text
    (tmp_path / "x").write_text(text.replace(old, new))
    with pytest.raises(UsageError, match="is no result file of"):
        open_foreign(f"{name.partition('-')[0]}:{tmp_path}/x")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_that_is_not_there_is_one_sentence(tool, tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        open_foreign(f"{tool}:{tmp_path}/nothing.json")


@pytest.mark.parametrize("uri", ["wrk:x", "fortio:", "fortio", ""])
def test_a_tool_we_do_not_know_is_one_sentence(uri):
    with pytest.raises(UsageError, match="write TOOL:PATH, where TOOL is one of fortio, ghz"):
        open_foreign(uri)


@pytest.mark.parametrize("part", ["#1", "#benchmark=0", "#benchmark=x", "#a=b", "#rate=0", "#rate=x", "#rate=nan", "#"])
def test_what_stands_behind_the_file_is_checked(part):
    uri = f"guidellm:{FIXTURES}/guidellm-0.8.1.json{part}"
    if part == "#":
        assert open_foreign(uri).requests == 51
    else:
        with pytest.raises(
            UsageError, match=r"cannot be read; write #version=NAME|is no number of a benchmark|is no rate"
        ):
            open_foreign(uri)


def test_ohas_errors_have_classes():
    run = opened("oha:oha-1.16.0-refused.json")
    assert (run.requests, run.failures) == (5, {"connect": 5})


def test_the_rate_that_was_asked_for_can_be_said_where_the_file_does_not():
    uri = f"vegeta:{FIXTURES}/vegeta-12.13.0.json"
    assert open_foreign(uri).requested_rate is None
    assert (open_foreign(f"{uri}#rate=60").requested_rate, open_foreign(f"{uri}#rate=60").limited) == (60.0, "")
    assert "requests per second of the planned 90" in open_foreign(f"{uri}#rate=90").limited


@pytest.mark.parametrize(
    ("uri", "statuses"),
    [
        ("fortio:fortio-1.57.3-access.json", {200, 503}),
        ("ghz:ghz-0.121.0-failing.json", {0, 8}),
        ("k6:k6-0.57.0.json", {200, 503}),
        ("k6:k6-0.57.0.csv", {200, 503}),
        ("k6:k6-0.57.0-refused.json", {0}),
        ("vegeta:vegeta-12.13.0.json", {200, 503}),
        ("vegeta:vegeta-12.13.0.csv", {200, 503}),
        ("vegeta:vegeta-12.13.0-refused.json", {0}),
        ("guidellm:guidellm-0.8.1.json", {0}),
        ("guidellm:guidellm-0.8.1-errors.json", {0, 500}),
    ],
)
def test_samples_have_the_status_that_the_file_tells(uri: str, statuses: set[int]):
    rows = to_result(opened(uri))
    assert set(rows.status) == statuses
    failed = {name for name, status in zip(rows.error, rows.status, strict=True) if status == 503}
    assert {rows.meta.error_names[code] for code in failed} <= {"http-503"}
