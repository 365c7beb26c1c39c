"""Covers: the page on assessment: the example of rewards and series is read from a real HTTP server as a release does, and says what the page shows.

Leaves out: its tables (bench/assessment.py), and the command that it shows (test_docs.py).
"""

import json
import random
import re
from pathlib import Path

import yaml
from werkzeug import Response

from fairway_steps.assess import assess
from fairway_steps.config import parse_objectives
from fairway_steps.metrics.registry import open_source
from fairway_steps.model import Result, Stratum, Verdict
from fairway_steps.windows import added

PAGE = Path(__file__).parents[2] / "docs" / "assessment.md"
SHARES = {"v1": 80, "v2": 20}


class Warehouse:
    """What users were worth by version, and how busy the GPUs are: v2's users click less."""

    def __init__(self) -> None:
        self.rng = random.Random(8)
        self.rows = {name: {"requests": 0, "users": 0, "clicks": 0, "clicks_squared": 0, "gpu": 0.5} for name in SHARES}

    def pass_time(self) -> None:
        for name, row in self.rows.items():
            users = SHARES[name]
            clicks = sum(self.rng.random() < {"v1": 0.3, "v2": 0.22}[name] for _ in range(users))
            row["requests"] += 3 * users
            row["users"] += users
            row["clicks"] += clicks
            row["clicks_squared"] += clicks
            row["gpu"] = self.rng.gauss(0.5, 0.03)


def examples() -> list[str]:
    """What the section shows: a document, and a sentence."""
    return re.findall(r"```(?:yaml)?\n(.*?)```", PAGE.read_text().split("### Rewards")[1], re.DOTALL)[:2]


def test_the_example_of_rewards_and_series_says_what_is_shown(httpserver):
    warehouse = Warehouse()
    httpserver.expect_request("/release").respond_with_handler(
        lambda request: Response(json.dumps(warehouse.rows[request.args["version"]]))
    )
    document, sentence = examples()
    described = yaml.safe_load(document)
    described["metrics"]["url"] = httpserver.url_for("/release") + "?version=$version"
    source = open_source(json.dumps(described["metrics"]), "iris")
    slos = parse_objectives(yaml.safe_dump(described["slos"])).slos
    cursor, strata, found = source.read([*SHARES], SHARES, "", 0.0).cursor, (), None
    while found is None:
        warehouse.pass_time()
        reading = source.read([*SHARES], SHARES, cursor, 1.0 + len(strata) // 2)
        assert reading.problem == ""
        cursor, strata = reading.cursor, added(strata, reading.strata)
        found = assess(slos, strata, candidate="v2", primary="v1", weight=20, over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason == sentence.strip()
    quiet: list[Stratum] = [stratum for stratum in strata if stratum.end <= 10]
    ended = assess(slos, quiet, candidate="v2", primary="v1", weight=20)
    assert ended is not None
    assert ended.evidence[1].result is Result.INCONCLUSIVE
    assert "one look at 10 values beside 10 are too few, 50 of each are needed" in ended.evidence[1].sentence
