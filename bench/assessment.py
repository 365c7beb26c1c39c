"""Verdicts of other systems and of Fairway on the same simulated releases, and the goals that Fairway's must meet.

Run: `python bench/assessment.py [RUNS]`, about two minutes on one core; the exit code is 1 if a goal is missed. Rates come with
their 95 % intervals (Clopper and Pearson); all seeds are fixed, so the same numbers come every time.
"""

import sys
import time

import assessment_goals as goals
import numpy as np
from assessment_rules import EACH, LIMIT, LOOKS, RULES, TOTAL, interval, streams
from scipy import stats

from fairway_steps.stats.plan import requests_to_find, requests_to_prove_at

SEED = 20_260_101
GOOD, BAD = (0.005, 0.008, 0.0099), (0.015, 0.02, 0.05)


def percent(rate: float) -> str:
    return f"{100 * rate:g} %"


def with_interval(hits: int, n: int) -> str:
    """``.121 (.115-.127)``."""
    low, high = interval(hits, n)
    return f"{hits / n:.3f} ({low:.3f}-{high:.3f})".replace("0.", ".")


def row(name: str, cells: list[str]) -> str:
    return f"  {name:<30}" + "".join(f"{cell:>20}" for cell in cells)


def side_by_side(runs: int) -> None:
    """The table: the same streams for every rule."""
    rng = np.random.default_rng(SEED)
    drawn = {rate: streams(rng, rate, runs) for rate in (*GOOD, *BAD)}
    decisions = {name: {rate: rule(errors) for rate, errors in drawn.items()} for name, rule in RULES.items()}
    print(f"{runs:,} releases a rate; {LOOKS} looks of {EACH} requests each; limit {percent(LIMIT)}; seed {SEED}\n")
    print("False rollback: a version that keeps the limit is rolled back")
    print(row("true rate", [percent(rate) for rate in GOOD]))
    for name, found in decisions.items():
        print(row(name, [with_interval(int(found[rate].rolled_back.sum()), runs) for rate in GOOD]))
    print("\nFalse promotion: a version that breaks the limit is promoted")
    print(row("true rate", [percent(rate) for rate in BAD]))
    for name, found in decisions.items():
        print(row(name, [with_interval(int(found[rate].promoted.sum()), runs) for rate in BAD]))
    print("\nTime to detect: requests until it is rolled back, median of those that are (share of all)")
    print(row("true rate", [percent(rate) for rate in BAD]))
    for name, found in decisions.items():
        print(row(name, [_detected(found[rate].look) for rate in BAD]))
    print("\nA good version is promoted")
    print(row("true rate", [percent(rate) for rate in GOOD]))
    for name, found in decisions.items():
        print(row(name, [with_interval(int(found[rate].promoted.sum()), runs) for rate in GOOD]))
    print("\nHeld: neither, a person is asked")
    print(row("true rate", [percent(rate) for rate in (*GOOD, *BAD)]))
    for name, found in decisions.items():
        held = {rate: int((~found[rate].promoted & ~found[rate].rolled_back).sum()) for rate in (*GOOD, *BAD)}
        if any(held.values()):
            print(row(name, [with_interval(count, runs) for count in held.values()]))


def _detected(looks: np.ndarray) -> str:
    seen = looks[looks > 0]
    return f"{EACH * np.median(seen):,.0f} ({seen.size / looks.size:.2f})" if seen.size else "never"


def requests_needed() -> None:
    """What a decision costs when it is looked for after every request, beside the best test of a number fixed beforehand."""
    print("\nRequests needed against a limit of 1 %, a look after every request (exact)")
    print(row("true rate", ["median", "power .9", "fixed number, .9"]))
    for rate in (0.015, 0.02, 0.03, 0.05, 0.2):
        cells = [requests_to_find(LIMIT, rate, 0.5), requests_to_find(LIMIT, rate)]
        print(row(f"harm: {percent(rate)}", [f"{n:,}" for n in (*cells, goals.fixed_number(LIMIT, rate))]))
    for rate in (0.0, 0.001, 0.005):
        cells = [requests_to_prove_at(LIMIT, rate, 0.5), requests_to_prove_at(LIMIT, rate)]
        print(row(f"health: {percent(rate)}", [f"{n:,}" for n in (*cells, goals.fixed_number(LIMIT, rate))]))
    print(
        "\nIter8's default: p99 from 100 requests against the limit (exact). Of versions with this share over it, so many pass"
    )
    shares = (0.005, 0.008, 0.02, 0.03)
    print(row("share over the limit", [percent(share) for share in shares]))
    print(row("pass", [f"{stats.binom.cdf(1, 100, share):.3f}" for share in shares]))


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    start = time.monotonic()
    side_by_side(runs)
    requests_needed()
    print("\nGoals")
    missed = 0
    for goal in goals.ALL:
        for met, sentence in goal(runs):
            missed += not met
            print(f"  {'met   ' if met else 'MISSED'}  {sentence}", flush=True)
    print(
        f"\n{'all goals are met' if not missed else f'{missed} missed'}; {TOTAL:,} requests a release; {time.monotonic() - start:.0f} s"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
