"""Counts of removed backends: kept by service, forgotten with the Envoy that made them."""

from fairway_steps.routing.folder import Folder
from fairway_steps.routing.retired import Retired


def test_counts_are_kept_by_service_and_version(tmp_path):
    iris, rose = Retired(Folder(tmp_path), "iris"), Retired(Folder(tmp_path), "rose")
    assert iris.counts(100.0) == {}
    iris.keep(100.0, {"v2": 7})
    rose.keep(100.0, {"v2": 1})
    iris.keep(101.0, {"v3": 2, "v2": 9})
    assert iris.counts(99.0) == {"v2": 9, "v3": 2}
    assert rose.counts(100.0) == {"v2": 1}


def test_another_envoy_has_counted_nothing(tmp_path):
    retired = Retired(Folder(tmp_path), "iris")
    retired.keep(100.0, {"v2": 7})
    assert retired.counts(200.0) == {}
    retired.keep(200.0, {"v3": 1})
    assert retired.counts(200.0) == {"v3": 1}
