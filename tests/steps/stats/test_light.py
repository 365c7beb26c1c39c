"""The e-values without scipy, held against those with it, and both tails against 40 digits of the integral itself."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from fairway_steps.stats import light, rate
from fairway_steps.stats.beta import log_above, log_below, log_beta

LIMITS = st.sampled_from([0.0, 1e-5, 0.001, 0.01, 0.05, 0.1, 0.5, 0.9, 0.999])


@given(st.integers(0, 200_000), st.floats(0, 1), LIMITS)
def test_the_same_as_with_scipy(n: int, share: float, limit: float):
    for errors in {round(n * share), round(n * limit), 0, n, min(n, 1)}:
        for ours, theirs in ((light.log_e_violated, rate.log_e_violated), (light.log_e_met, rate.log_e_met)):
            assert ours(errors, n, limit) == pytest.approx(theirs(errors, n, limit), rel=1e-7, abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(1.0, 99.0), (11.0, 1089.0), (3.0, 4.0), (400.0, 2.0)])
@pytest.mark.parametrize("x", [0.002, 0.01, 0.1, 0.6, 0.97])
def test_the_integrals_are_those_of_quadrature(a: float, b: float, x: float):
    shift = log_beta(a, b)

    def density(t: float) -> float:
        return math.exp(special.xlogy(a - 1, t) + special.xlog1py(b - 1, -t) - shift)

    mode = min(1.0, max(0.0, (a - 1) / (a + b - 2)))
    for found, low, high in ((log_below(a, b, x), 0.0, x), (log_above(a, b, x), x, 1.0)):
        inside = [mode] if low < mode < high else None
        area = integrate.quad(density, low, high, points=inside, epsabs=0, epsrel=1e-11, limit=500)[0]
        if area > 1e-250:
            assert math.exp(found - shift) == pytest.approx(area, rel=1e-7)


@pytest.mark.parametrize(("errors", "n", "limit"), [(2, 1, 0.1), (-1, 1, 0.1), (0, 1, 1.0), (0, 1, -0.1)])
def test_what_cannot_be_is_refused(errors: int, n: int, limit: float):
    with pytest.raises(ValueError, match="cannot be"):
        light.log_e_met(errors, n, limit)


def test_the_load_test_decides_without_scipy_and_numpy():
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['numpy'] = None;"
        "from fairway_steps.loadtest.decision import Bound, Decision;"
        "from fairway_steps.loadtest.tally import Count;"
        "print(Decision([Bound('errors', 0.1)]).made(Count(200, 0)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "every limit is kept" in done.stdout


def test_to_judge_imports_none_of_the_large_parts_of_scipy():
    large = ("scipy.stats", "scipy.optimize", "scipy.interpolate")
    code = (
        "import sys, fairway_steps.judge, fairway_steps.watch;"
        "from fairway_steps.assess import weigh;"
        "from fairway_steps.model import Metric, Slo, Stratum;"
        "strata = [Stratum('v2', 0.0, 1.0, 50, 99, {'http-500': 99}), Stratum('v1', 0.0, 1.0, 50, 99)];"
        "found = weigh([Slo(Metric.ERROR_RATE, 0.05)], strata, candidate='v2', primary='v1', weight=50);"
        f"print(bool(found.harm), [one for one in {large} if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"
