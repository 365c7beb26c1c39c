"""Covers: the figures of docs/assessment.md are those that the benchmark simulates and that the plan computes; its example is
answered as it says; the benchmark's shortcuts end releases as the assessment does.

Leaves out: the goals themselves (bench/assessment.py).
"""

import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fairway_steps import cli
from fairway_steps.stats.plan import requests_to_find, requests_to_prove_at

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "assessment.md").read_text()
RUNS = 4000


@pytest.fixture(scope="module")
def rules():
    spec = importlib.util.spec_from_file_location("assessment_rules", ROOT / "bench" / "assessment_rules.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["assessment_rules"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["assessment_rules"]


def table(start):
    """The rows of the table whose head begins so, as a list of cells."""
    (block,) = re.findall(rf"^\| {re.escape(start)}.*?(?=^$)", TEXT, re.MULTILINE | re.DOTALL)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if "---" not in line]


@pytest.mark.parametrize(("start", "which"), [("rolled back, though", "rolled_back"), ("promoted, though", "promoted")])
def test_the_tables_are_what_is_simulated(rules, start, which):
    head, *rows = table(start)
    rates = [float(re.search(r"([\d.]+) %", cell)[1]) / 100 for cell in head[1:]]
    rng = np.random.default_rng(3)
    drawn = [rules.streams(rng, rate, RUNS) for rate in rates]
    assert [row[0] for row in rows] == list(rules.RULES)
    for name, *cells in rows:
        for cell, errors in zip(cells, drawn, strict=True):
            share = float(getattr(rules.RULES[name](errors), which).mean())
            assert float(cell) == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / RUNS) + 0.002), (
                name,
                cell,
            )


def test_the_costs_are_what_the_plan_computes():
    _, *rows = table("the version really fails")
    assert len(rows) == 7
    for cell, median, most, _ in rows:
        share, what = re.fullmatch(r"([\d.]+) %: (\w+)", cell).groups()
        needed = requests_to_find if what == "harm" else requests_to_prove_at
        got = [needed(0.01, float(share) / 100, power) for power in (0.5, 0.9)]
        assert [int(median.replace(",", "")), int(most.replace(",", ""))] == got


@pytest.mark.parametrize("prove", [False, True])
def test_the_benchmark_ends_releases_as_the_assessment_does(rules, prove):
    errors = np.concatenate([rules.streams(np.random.default_rng(5), rate, 4) for rate in (0.002, 0.01, 0.03)])
    decided = rules.RULES["Fairway, prove" if prove else "Fairway, guard"](errors)
    for k, stream in enumerate(errors):
        verdict, look = rules.as_assessed(stream, prove=prove)
        assert (verdict == "rollback", verdict == "promote") == (decided.rolled_back[k], decided.promoted[k])
        assert not decided.rolled_back[k] or look == decided.look[k]


def test_the_example_fails_as_it_should(monkeypatch, capsys):
    (given,) = re.findall(r"^echo '(.*)' \| fairway stats rate-vs-limit$", TEXT, re.MULTILINE)
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert cli._run(["stats", "rate-vs-limit"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"
