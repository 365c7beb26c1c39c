"""Covers: the page of strategies and routes is what the tests saw, has every cell, and names tests that exist.

Leaves out: that the tests still see it, which each of them compares itself (tests/contract/test_strategies.py).
"""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import matrix
from fairway_steps.routing.registry import KINDS

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("matrix_page", ROOT / "docs" / "matrix.py")
PAGE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PAGE)
SEEN = matrix.load()


def test_the_page_is_up_to_date():
    assert (ROOT / "docs" / "matrix.md").read_text() == PAGE.render(), "run `make matrix`"


def test_every_cell_was_seen_and_nothing_else():
    assert set(SEEN) == set(PAGE.STRATEGIES)
    for strategy, cells in SEEN.items():
        assert set(cells) == set(PAGE.BACK_ENDS), strategy


def test_every_kind_of_route_is_a_back_end():
    named = {re.sub(r"[^a-z]", "", back_end.lower()) for back_end in PAGE.BACK_ENDS}
    names = {"ksvc": "knativeservice", "inferenceservice": "inferenceserviceknative"}
    assert {names.get(kind, kind) for kind in KINDS} < named


def test_the_tests_that_saw_it_exist():
    nodes = {node for cells in SEEN.values() for tests in cells.values() for node in tests}
    for file, test in {tuple(node.partition("[")[0].split("::")) for node in nodes}:
        tree = ast.parse((ROOT / file).read_text())
        assert test in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, f"{file} has no {test}"


def test_tests_that_saw_different_things_make_no_cell():
    with pytest.raises(SystemExit, match="one outcome is needed"):
        PAGE.outcome({"a": "works", "b": "refused: why"})
