"""Covers: each calculator's example, its documented fields, its reference number, going on from a state, and a sentence and exit
code 2 for each kind of input that cannot be.

Leaves out: the methods themselves (tests/steps/stats).
"""

import io
import json
import math
import re

import click
import pytest

from fairway_steps import cli
from fairway_steps.cli.calculators import METHODS
from fairway_steps.cli.stats import SUMMARIES, stats


@pytest.fixture
def call(monkeypatch, capsys):
    def run(method, given):
        text = given if isinstance(given, str) else json.dumps(given)
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        code = cli._run(["stats", method])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def result(call):
    def run(method, given):
        code, out, err = call(method, given)
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def help_of(method):
    context = click.Context(stats, info_name="fairway stats")
    command = stats.get_command(context, method)
    return command.get_help(click.Context(command, info_name=f"fairway stats {method}", terminal_width=2000))


def test_the_list_of_methods_is_the_same_in_front_and_behind():
    assert list(SUMMARIES) == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_the_help_has_a_line_for_every_field_and_an_example_that_runs(method, result):
    text = help_of(method)
    (example,) = re.findall(rf"echo '(.*)' \| fairway stats {method}$", text, re.MULTILINE)
    answer = result(method, example)
    documented = {name for names in METHODS[method].output for name in names.split(", ")}
    nested = {"users_missing", "allowed", "requests"}  # told in the line of what they belong to
    assert set(answer) <= documented | nested
    for name in METHODS[method].input.model_fields:
        assert re.search(rf"^  {name} .*\[.+; (required|optional|default: .+)\]", text, re.MULTILINE), name


def test_a_rate_against_its_limit(result):
    # assessment reference: ln E = 3.0210289003 (a beta-binomial mixture, recomputed with confseq's bound to 1e-9)
    answer = result("rate-vs-limit", {"limit": 0.01, "errors": 20, "requests": 1000})
    assert answer["log_e_violated"] == pytest.approx(3.0210289003, abs=1e-9)
    assert answer["p_violated"] == pytest.approx(math.exp(-3.0210289003), abs=1e-9)
    assert (answer["verdict"], answer["rate"]) == ("fail", 0.02)
    assert answer["interval"][0] < 0.02 < answer["interval"][1]


def test_what_is_missing_to_a_proof(result):
    # A limit of 1 % is proved by 417 requests without an error, as the tests of stats.rate check.
    answer = result("rate-vs-limit", {"limit": 0.01, "errors": 0, "requests": 400})
    assert (answer["verdict"], answer["requests_missing"]) == ("inconclusive", 17)
    assert result("rate-vs-limit", {"limit": 0.01, "errors": 0, "requests": 417})["verdict"] == "pass"
    assert result("rate-vs-limit", {"limit": 0, "errors": 0, "requests": 9})["requests_missing"] is None


def test_going_on_from_a_state_is_the_same_as_all_at_once(result):
    strata = [
        {"errors": 9, "requests": 300, "primary_errors": 40, "primary_requests": 3000},
        {"errors": 7, "requests": 300, "primary_errors": 44, "primary_requests": 3000},
        {"errors": 11, "requests": 300, "primary_errors": 39, "primary_requests": 3000},
    ]
    whole = result("rate-vs-primary", {"strata": strata})
    first = result("rate-vs-primary", {"strata": strata[:2]})
    assert result("rate-vs-primary", {"strata": strata[2:], "state": first["state"]}) == whole
    # Mantel-Haenszel odds ratio by statsmodels' StratifiedTable
    assert whole["odds_ratio"] == pytest.approx(2.2317403570, abs=1e-9)


def test_a_limit_between_two_edges_is_bounded_by_both(result):
    answer = result(
        "quantile-limit", {"limit": 0.2, "quantile": 0.95, "buckets": {"0.1": 700, "0.25": 980, "+Inf": 1000}}
    )
    assert answer["slower"] == {"least": 20, "most": 300}
    assert answer["edges"] == {"below": 0.1, "above": 0.25, "nearest": 0.25}
    assert (answer["verdict"], answer["exact"]) == ("inconclusive", False)


def test_failed_requests_are_slower_than_all(result):
    given = {"limit": 1, "quantile": 0.9, "samples": [0.5] * 50 + [None] * 50}
    answer = result("quantile-limit", given)
    assert (answer["verdict"], answer["slower"]["least"], answer["quantile"]) == ("fail", 50, "inf")
    assert answer["quantile_interval"][1] == "inf"


def test_a_slower_version_is_found_by_samples_and_by_tails(result):
    fast, slow = [0.1 + k / 5000 for k in range(500)], [0.2 + k / 5000 for k in range(500)]
    by_samples = result("quantile-compare", {"quantile": 0.5, "candidate": slow, "primary": fast, "margin": 0})
    by_tails = result("quantile-compare", {"edges": [0.15, 0.19], "candidate": slow, "primary": fast})
    assert by_samples["verdict"] == by_tails["verdict"] == "fail"
    assert by_tails["tails"]["log_e_violated"] > 100


def test_a_winner_needs_users(result):
    few = result("reward", {"rewards": {"a": [0, 1] * 20, "b": [5, 6] * 20}, "primary": "a"})
    assert (few["decided"], few["users_missing"]) == (False, 60)
    many = result("reward", {"rewards": {"a": [0, 1] * 60, "b": [5, 6] * 60}, "primary": "a"})
    assert (many["best"], many["decided"], many["dropped"]) == ("b", True, ["a"])
    assert many["against_primary"]["b"]["surely_better"] is True
    lower = result("reward", {"rewards": {"a": [0, 1] * 60, "b": [5, 6] * 60}, "direction": "decrease"})
    assert lower["best"] == "a"


def test_no_data_is_never_a_pass(result):
    assert result("rate-vs-limit", {"limit": 0.01, "strata": []})["verdict"] == "no-data"
    assert result("rate-vs-primary", {"strata": []})["verdict"] == "no-data"
    assert result("quantile-limit", {"limit": 1, "quantile": 0.5, "samples": []})["verdict"] == "no-data"
    one_sided = {"errors": 1, "requests": 9, "primary_errors": 0, "primary_requests": 0}
    assert result("rate-vs-primary", {"strata": [one_sided]})["verdict"] == "no-data"
    for own, other in (([], []), ([1.0], []), ([], [1.0])):
        assert result("quantile-compare", {"candidate": own, "primary": other, "edges": [0.5]})["verdict"] == "no-data"
        told = result("reward", {"rewards": {"v1": other, "v2": own}, "primary": "v1"})
        assert told["against_primary"]["v2"]["verdict"] == "no-data"
    assert result("split", {"weights": {"v1": 90, "v2": 10}, "counts": {}})["verdict"] == "no-data"
    assert result("mann-whitney", {"candidate": [], "primary": [1]})["label"] == "no-data"
    assert result("score", {"metrics": []})["grade"] == "fail"


RATE = {"limit": 0.01, "errors": 1, "requests": 5}
TAILS = {"edges": [1], "candidate_buckets": {"1": 5, "+Inf": 5}, "primary_buckets": {"1": 5, "+Inf": 5}}
QUANTILE = {"limit": 0.1, "quantile": 0.9, "samples": [0.1]}


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("rate-vs-limit", RATE | {"errors": -1}, "a number of errors of -1 cannot be"),
        ("rate-vs-limit", RATE | {"errors": 6}, "6 errors of 5 requests cannot be"),
        ("rate-vs-limit", RATE | {"errors": 1.5}, "errors: 1.5 is not a whole number"),
        ("rate-vs-limit", RATE | {"limit": 1}, "a limit of 1 is not a share from 0 to below 1"),
        ("rate-vs-limit", RATE | {"alpha": 0}, "alpha: 0 is not above 0"),
        ("rate-vs-limit", RATE | {"limt": 1}, "limt: there is no such field; did you mean 'limit'?"),
        ("rate-vs-limit", {"limit": 0.1, "errors": 1}, "give either errors and requests, or strata"),
        ("rate-vs-limit", RATE | {"state": {"limit": 0.2, "errors": 0, "n": 0, "peak": {"violated": 0.0, "met": 0.0}}}, "the state is on a limit of 0.2, not 0.01"),
        ("rate-vs-limit", RATE | {"state": {"limits": 0.2}}, "RateVsLimit has an unknown field 'limits'"),
        ("rate-vs-limit", "", "the input is not JSON"),
        ("rate-vs-limit", "[" * 100_000, "the input is not JSON"),
        ("rate-vs-limit", [], "the input: a list is not a mapping of fields"),
        ("rate-vs-primary", {"strata": [{"errors": 1, "requests": 2, "primary_errors": 1}]}, "strata[0]: primary_requests is missing"),
        ("rate-vs-primary", {"strata": [], "margin": 0.5}, "a margin of 0.5 is not between 1 and 10"),
        ("quantile-limit", QUANTILE | {"quantile": 0}, "a quantile of 0 is not between 0 and 1"),
        ("quantile-limit", QUANTILE | {"quantile": 100}, "a quantile of 100 is not between 0 and 1"),
        ("quantile-limit", QUANTILE | {"samples": [1, "a"]}, "samples[1]: 'a' is not a number"),
        ("quantile-limit", '{"limit": 1, "quantile": 0.9, "samples": [NaN]}', "a latency is negative or not a number"),
        ("quantile-limit", {"limit": 1, "quantile": 0.9}, "give either samples or buckets"),
        ("quantile-limit", {"limit": 1, "quantile": 0.9, "buckets": {"1": 5, "2": 3, "+Inf": 9}}, "buckets are not cumulative: 3 at or below 2, but 5 at or below 1"),
        ("quantile-limit", {"limit": 1, "quantile": 0.9, "buckets": {"1": 5}}, "the buckets do not end in +Inf"),
        ("quantile-limit", {"limit": 1, "quantile": 0.9, "buckets": {"x": 5}}, "an edge of a bucket is not a number"),
        ("quantile-compare", {"candidate": [1], "primary": [-1]}, "a sample of the primary is negative"),
        ("quantile-compare", TAILS | {"margin": 0.2}, "margin is of samples: at the edges of buckets odds are compared, up to 1.5 is fine"),
        ("quantile-compare", TAILS | {"quantile": 0.9, "margin": 0.2}, "quantile and margin are of samples"),
        ("quantile-compare", {"edges": [2, 1], "candidate": [1], "primary": [1]}, "are not edges in seconds that rise"),
        ("reward", {"rewards": {"a": [1]}}, "1 versions cannot be ranked"),
        ("reward", {"rewards": {"a": [1], "b": [1]}, "primary": "c"}, "'c' is not among the versions"),
        ("mann-whitney", {"candidate": [1], "primary": [1], "direction": "up"}, "direction: 'up' is none of increase, decrease, either"),
        ("mann-whitney", '{"candidate": [Infinity], "primary": [1]}', "a value of a series is infinite"),
        ("score", {"metrics": [], "weights": {"a": 101}}, "are negative or come to more than 100"),
        ("split", {"weights": {"a": 1}, "counts": {"b": 1}}, "b has no weight"),
        ("split", {"weights": {"a": 0}, "counts": {"a": 1}}, "weights are not numbers from 0 on, with one above it"),
        ("split", {"weights": {"a": 1}}, "give either counts or looks"),
        ("rate-vs-limt", {}, "there is no method 'rate-vs-limt'; did you mean 'rate-vs-limit'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_and_exit_2(call, method, given, said):
    code, out, err = call(method, given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err


HUGE = 10**400


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        (
            "rate-vs-limit",
            {"limit": 0.01, "errors": HUGE, "requests": HUGE},
            "errors: a number of 401 digits is too large",
        ),
        (
            "rate-vs-limit",
            {"limit": 0.01, "strata": [{"errors": 1, "requests": 2**53 + 1}]},
            "strata[0].requests: a number",
        ),
        (
            "rate-vs-limit",
            {"limit": 0.9999999999999999, "errors": 10, "requests": 1000},
            "is too near to 1 to judge by",
        ),
        (
            "mann-whitney",
            {"candidate": [1e308] * 3, "primary": [-1e308] * 3},
            "candidate[0]: 1e+308 is too large; at most 1e+100 can be computed with",
        ),
        ("reward", {"rewards": {"v1": [1.0, -1e308], "v2": [1.0]}}, "rewards.v1[1]: -1e+308 is too large"),
        ("quantile-limit", {"limit": HUGE, "quantile": 0.9, "samples": [1]}, "limit: a number of 401 digits"),
        (
            "rate-vs-limit",
            {"limit": 1e-320, "errors": 1, "requests": 10},
            "is too small to judge by; write 0, or 1e-12 or more",
        ),
        (
            "rate-vs-limit",
            {"limit": -0.1, "errors": 1, "requests": 10},
            "is not a share from 0 to below 1; 0.01 is 1 %",
        ),
        (
            "rate-vs-limit",
            {"limit": 0.01, "strata": [], "state": {"limit": 0.01}},
            "state: errors is missing; give the whole",
        ),
        ("rate-vs-limit", {"limit": 0.01, "strata": [], "state": {}}, "RateVsLimit is incomplete"),
        (
            "rate-vs-limit",
            {"limit": 0.01, "strata": [], "state": {"limit": 0.01, "errors": 1, "n": 9, "peak": {"violated": 1.0}}},
            "state: peak.met is missing",
        ),
        ("rate-vs-primary", {"strata": [], "state": {"worse_than": 1.0, "margin": 1.5}}, "state: errors is missing"),
        (
            "rate-vs-primary",
            {"strata": [], "state": {"errors": 1, "n": 9, "likelihood": [math.inf]}},
            "a log likelihood is infinite or not a number; give the whole",
        ),
        (
            "rate-vs-limit",
            {
                "limit": 0.01,
                "strata": [],
                "state": {"limit": 0.01, "errors": 3, "n": -1, "peak": {"violated": 0, "met": 0}},
            },
            "a number of requests of -1 cannot be",
        ),
        ("rate-vs-primary", {"strata": [], "state": {"errors": 4, "n": 3}}, "4 errors of 3 requests cannot be"),
        ("rate-vs-primary", {"strata": [], "state": {"n_primary": -1}}, "a number of requests of -1 cannot be"),
        (
            "rate-vs-limit",
            {"limit": 0.01, "strata": [], "state": {"limit": "one"}},
            "RateVsLimit.limit is not a number: 'one'",
        ),
        ("rate-vs-limit", {"limit": 0.01, "strata": [], "alpha": 1.5}, "alpha: 1.5 is not below 1"),
        (
            "reward",
            {"rewards": {"v1": [1.0] * 200, "v2": [2.0] * 200}, "planned": math.inf},
            "planned: inf is not a finite",
        ),
        ("rate-vs-limit", '{"limit": 0.01, "limit": 0.02, "errors": 1, "requests": 10}', "'limit' is given twice"),
        (
            "quantile-limit",
            {"limit": 1, "quantile": 0.9, "buckets": {"0.1": 5, "0.10": 6, "+Inf": 9}},
            "the edge 0.1 of the buckets is given twice",
        ),
    ],
)
def test_what_cannot_be_computed_with_is_one_clear_sentence(call, method, given, said):
    code, out, err = call(method, given)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_the_smallest_limit_is_computed(result):
    for n in (0, 1, 10**9):
        told = result("rate-vs-limit", {"limit": 1e-12, "errors": n, "requests": 10**9})
        assert all(math.isfinite(told[name]) for name in ("log_e_violated", "log_e_met"))


def test_rewards_without_any_spread_decide_nothing(result):
    told = result("reward", {"rewards": {"v1": [1.0] * 200, "v2": [2.0] * 200}, "primary": "v1"})
    assert told["decided"] is False
    assert told["why"] == "within v1 and v2 all users were worth the same, so how sure a mean is is not known"
    assert told["dropped"] == []
    (against,) = told["against_primary"].values()
    assert (against["verdict"], against["p_met"], against["surely_better"]) == ("inconclusive", 1.0, False)
    assert against["interval"] == ["-inf", "inf"]
