"""What a run of another tool can and cannot tell: counts over limits, rates, and its summary.

Left out: reading the files (test_tools.py).
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.foreign import Bucket, Entry, Foreign, cells, from_rows, rows_of
from fairway_steps.loadtest.adapters.summary import summary
from fairway_steps.loadtest.fitting import SUMMARY_BYTES, to_json

MS = 1_000_000
BASE = 1_700_000_000 * 1_000_000_000


def raw(took: list[float], errors: dict[int, str] | None = None, **fields) -> Foreign:
    """One request every 10 ms, ``took`` in ms."""
    entries = [
        Entry(BASE + i * 10 * MS, BASE + i * 10 * MS, BASE + i * 10 * MS + round(each * MS), (errors or {}).get(i, ""))
        for i, each in enumerate(took)
    ]
    return from_rows("tool", *rows_of(entries), **fields)


def bucketed(counts: dict[tuple[float, float], int], failures: dict[str, int] | None = None, **fields) -> Foreign:
    buckets = tuple(Bucket(low, high, count) for (low, high), count in counts.items())
    failures = failures or {}
    return Foreign(
        tool="tool",
        started=1e9,
        seconds=5.0,
        requests=sum(counts.values()) + sum(failures.values()),
        failures=failures,
        buckets=buckets,
        **fields,
    )


def test_a_limit_on_an_edge_or_outside_of_all_buckets_is_exact():
    run = bucketed({(0.004, 0.01): 5, (0.01, 0.018000000000000002): 3, (0.05, 0.09): 2}, {"http-500": 4})
    at = {0.001: 14, 0.01: 9, 0.018: 6, 0.03: 6, 0.05: 6, 0.09: 4, 1.0: 4}
    assert {limit: run.over(limit) for limit in at} == at


@pytest.mark.parametrize(
    ("limit", "edges"), [(0.012, "10 ms or 18 ms"), (0.005, "4 ms or 10 ms"), (0.0899, "50 ms or 90 ms")]
)
def test_a_limit_within_a_bucket_is_refused_with_the_edges_around_it(limit, edges):
    run = bucketed({(0.004, 0.01): 5, (0.01, 0.018): 3, (0.05, 0.09): 2})
    with pytest.raises(UsageError, match=f"lies across the limit of .* ms; use a limit on an edge, such as {edges}"):
        run.over(limit)


def test_an_empty_bucket_hides_nothing():
    assert bucketed({(0.0, 0.01): 5, (0.01, 0.02): 0}).over(0.015) == 0


@given(st.lists(st.floats(0.01, 500), min_size=1, max_size=60), st.sets(st.integers(1, 400), max_size=5), st.data())
def test_every_request_is_in_exactly_one_cell(took, limits, data):
    errors = {i: data.draw(st.sampled_from(["http-500", "cancelled"])) for i in range(0, len(took), 7)}
    run = raw(took, errors)
    rising = sorted(limit / 1000 for limit in limits)
    found = list(cells(run, rising))
    kept = len(took) - sum(name == "cancelled" for name in errors.values())
    assert sum(requests for _, _, requests, *_ in found) == kept
    for _, _, requests, failures, counts, _ in found:
        assert sum(counts) + sum(failures.values()) == requests
    late = {i: name for i, name in errors.items() if name == "cancelled" and rising and took[i] / 1000 > rising[-1]}
    assert sum(requests for _, _, requests, *_ in cells(run, rising, rising)) == kept + len(late)
    for place, limit in enumerate(rising):
        above = sum(sum(counts[place + 1 :]) for *_, counts, _ in found)
        assert above + run.failed == run.over(limit)


@given(st.lists(st.floats(0.01, 500), min_size=1, max_size=200))
def test_exact_quantiles_are_numpys(took):
    told = summary(raw(took))["service_ms"]
    for name, share in {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}.items():
        assert told[name] == pytest.approx(np.quantile(took, share), rel=1e-4, abs=1e-3)


def test_a_summary_says_what_is_missing():
    told = summary(raw([10, 20, 30]), [0.015])
    assert (told["tool"], told["co_corrected"], told["quantiles"]) == ("tool", False, "exact")
    assert set(told["response_ms"].values()) == {None}
    assert (told["service_ms"]["max"], told["over_ms"]) == (30.0, {"15": 2})
    told = summary(bucketed({(0.0, 0.01): 5}))
    assert (told["co_corrected"], told["quantiles"]) == (False, "bucketed")


def test_a_corrected_run_has_response_and_service():
    entries = [
        Entry(BASE, BASE + 5 * MS, BASE + 15 * MS, ""),
        Entry(BASE + 10 * MS, BASE + 10 * MS, BASE + 20 * MS, ""),
    ]
    told = summary(from_rows("tool", *rows_of(entries), corrected=True))
    assert (told["response_ms"]["max"], told["service_ms"]["max"]) == (15.0, 10.0)


def test_a_summary_fits_whatever_failed():
    run = raw([1.0] * 200, {i: f"http-{400 + i}" for i in range(100)})
    text = to_json(summary(run, [0.1, 0.2, 0.5]))
    assert len(text) <= SUMMARY_BYTES
    assert sum(json.loads(text)["errors"].values()) == 100


def test_what_was_cancelled_stays_so_however_many_classes_there_are():
    run = raw([1.0] * 200, {i: f"http-{400 + i}" for i in range(100)} | dict.fromkeys(range(100, 103), "cancelled"))
    told = summary(run, [i / 1000 for i in range(1, 80)])
    assert len(to_json(told)) <= SUMMARY_BYTES
    assert (told["errors"]["cancelled"], sum(told["errors"].values())) == (3, 103)


def test_names_of_a_file_cannot_fill_a_summary():
    run = bucketed({(0.0, 0.01): 5}, {"x" * 1200: 3, "y" * 1200: 4})
    told = summary(replace(run, tool="t" * 1200), [i / 100 for i in range(1, 200)])
    assert len(to_json(told)) <= SUMMARY_BYTES
    assert (told["errors"], told["over_ms"]["10"]) == ({"other": 7}, 7)


def test_a_run_far_below_its_rate_is_limited():
    assert raw([1.0] * 50, requested=100).limited == ""
    assert "sent 100 requests per second of the planned 200" in raw([1.0] * 50, requested=200).limited
    assert summary(raw([1.0] * 50, requested=200))["client_limited"] is True


def test_a_run_in_which_all_failed_is_over_every_limit():
    assert bucketed({}, {"connect": 7}).over(0.1) == 7
    assert next(cells(bucketed({}, {"connect": 7}), [0.1]))[2:5] == (7, {"connect": 7}, [0, 0])


def test_what_was_broken_off_is_slow_once_it_took_longer_than_every_limit():
    """Of three requests broken off at 30, 300 and 3,000 ms two are over both limits, and the youngest over none."""
    run = raw([10, 30, 300, 3000], dict.fromkeys((1, 2, 3), "cancelled"))
    told = summary(run, [0.02, 0.25])
    assert (told["over_ms"], told["overdue"]) == ({"20": 2, "250": 2}, 2)
    (cell,) = cells(run, [0.02, 0.25, 1], [0.02, 0.25])
    assert cell[2:5] == (3, {}, [1, 0, 1, 1])
    assert "overdue" not in summary(run)


@pytest.mark.parametrize(("broken_off", "limited"), [(2, False), (3, True)])
def test_many_of_which_nobody_knows_how_long_they_waited_prove_nothing(broken_off, limited):
    run = bucketed({(0.0, 0.01): 200}, {"cancelled": broken_off}).held()
    assert bool(run.limited) == limited
    assert (f"broke {broken_off} of 20{broken_off} requests off at its end" in run.limited) == limited
    assert not bucketed({(0.0, 0.01): 1000}, {"cancelled": 10}).held().limited
