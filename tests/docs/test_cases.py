"""Covers: the page of cases names tests that exist, marked as needing a cluster where they do, and every case that it must have.

Leaves out: that they pass, which is theirs to tell.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (\d+): [^|]+\| ([^|]+) \|$", (ROOT / "docs" / "cases.md").read_text(), re.MULTILINE)
CASES = {1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 17, 18, 19, 21, 22, 28, 29, 30, 33, 34, 37}


def test_every_case_has_a_row():
    assert [int(number) for number, _ in ROWS] == sorted(CASES)


@pytest.mark.parametrize(("number", "proof"), ROWS, ids=[number for number, _ in ROWS])
def test_its_tests_exist_and_run_where_the_page_says(number, proof):
    named = re.findall(r"`([^`:]+)::([^`]+)`", proof)
    assert named
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text())
        assert test in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, f"{file} has no {test}"
    assert proof.startswith("cluster: ") is any(file.startswith("tests/e2e/cluster/") for file, _ in named)
