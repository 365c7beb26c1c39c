"""Names of versions as answers give them: short enough for a summary, and never two under one name. Left out: where they are read."""

import pytest

from fairway_steps.loadtest.labels import LONGEST, label_of


@pytest.mark.parametrize("name", ["", "v1", "iris-predictor-00002", "v" * LONGEST])
def test_a_name_that_a_version_may_have_stays(name: str):
    assert label_of(name) == name


def test_longer_ones_are_cut_and_stay_apart():
    names = ["v" * LONGEST, "v" * (LONGEST + 1), "v" * 1200, "v" * LONGEST + "a", "v" * LONGEST + "b", "v\xe9" * 40]
    found = [label_of(name) for name in names]
    assert len(set(found)) == len(names)
    assert all(len(each) == LONGEST and each.isascii() for each in found)


def test_letters_that_are_not_ascii_or_control_make_a_difference():
    assert len({label_of(name) for name in ("v", "v\xe9", "v\xe8", "\u4e00v", "v\n")}) == 5
    assert label_of("v\n\xe9") == r"v\x0a\xe9"
