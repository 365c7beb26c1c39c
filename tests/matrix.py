"""The contract matrix, strategies by back ends, from the tests that ran: hooks of pytest, imported by conftest.

A test says what a strategy did at a back end by ``record_property("cell", (strategy, back_end, outcome))``, or passes under the mark
``carries(strategy, back_end)``. With ``--matrix FILE`` what this run saw is written into FILE, in place of what the same
tests saw before; docs/matrix.py makes the page of it.
"""

import json
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "matrix.json"
WORKS = "works"
CELL = "cell"

_seen: dict[tuple[str, str, str], str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", metavar="FILE", help="write what each strategy did at each back end into this file")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "carries(strategy, back_end): a cell of the contract matrix, seen with real traffic"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("carries"):
        item.user_properties.append((CELL, [*mark.args, WORKS]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" or not report.passed:
        return
    for name, told in report.user_properties:
        if name == CELL:
            strategy, back_end, outcome = told
            _seen[strategy, back_end, report.nodeid] = outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--matrix")
    if not file or not _seen or hasattr(session.config, "workerinput"):
        return
    page = load(Path(file))
    ran = {node for _, _, node in _seen}
    for cells in page.values():
        for tests in cells.values():
            for node in ran & set(tests):
                del tests[node]
    for (strategy, back_end, node), outcome in _seen.items():
        page.setdefault(strategy, {}).setdefault(back_end, {})[node] = outcome
    text = json.dumps(page, indent=1, sort_keys=True, ensure_ascii=False)
    Path(file).write_text(text + "\n", encoding="utf-8")


def load(path: Path = PAGE) -> dict[str, dict[str, dict[str, str]]]:
    """By strategy, back end and test: what it saw."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
