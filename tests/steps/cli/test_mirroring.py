"""Stages that mirror through a collector, as the commands take them: where it is looked up, and where its counts are read.

Left out: the two sources as one (tests/steps/metrics/test_mirrored.py), a release through one (tests/e2e/test_mirror.py).
"""

import json

import pytest

from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.errors import UsageError
from fairway_steps.model import Stage

USERS = "prometheus:http://h:9090#preset=istio"


def stages(through):
    return (Stage(0, 60.0, mirror=50, through=through), Stage(10, 60.0))


@pytest.mark.parametrize(
    ("through", "url"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/metrics"),
        ("service/team/collector?service=collector&port=8090", "http://collector.team:8090/metrics"),
    ],
)
def test_a_collector_s_counts_are_read_where_copies_go(through, url):
    told = json.loads(judged_by(USERS, stages(through)))
    assert told == {"users": USERS, "mirrored": f"scrape:{url}#preset=collector"}


def test_without_a_collector_the_source_stays():
    assert judged_by(USERS, (Stage(0, 60.0, mirror=50), Stage(10, 60.0))) == USERS


def test_the_place_of_a_collector_is_that_of_a_version():
    given = stages("http://127.0.0.1:8090")
    assert placed_stages("envoy:route", given) == given
    with pytest.raises(UsageError, match="version collector has no address"):
        placed_stages("envoy:route", stages("collector"))
