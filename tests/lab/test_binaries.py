"""Covers: what the lab builds is pinned, verified by hash, and built anew when a pin changes.

Leaves out: the builds themselves, which `make lab` does.
"""

import pytest

from lab import binaries
from lab.binaries import ALL, ISTIOD, PAUSE, Component
from lab.progress import LabError

PINNED = [component for component in (*ALL, ISTIOD) if component is not PAUSE]


@pytest.mark.parametrize("component", PINNED, ids=lambda component: component.name)
def test_a_component_is_pinned_and_its_hash_is_known(component):
    sums = (binaries.PINS / component.name / "go.sum").read_text(encoding="utf-8").splitlines()
    known = [line for line in sums if line.startswith(f"{component.module} {component.version} h1:")]
    assert len(known) == 1
    assert component.version.startswith("v")


def test_our_own_program_needs_nobody_elses():
    assert "require" not in (binaries.PINS / "pause" / "go.mod").read_text(encoding="utf-8")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A component with pins and a cache of the test's own, as if it had been built."""
    pins = tmp_path / "pins" / "some"
    pins.mkdir(parents=True)
    (pins / "go.mod").write_text("module x\n\nrequire (\n\texample.com/some v1.2.3 // indirect\n)\n")
    (pins / "go.sum").write_text("")
    monkeypatch.setattr(binaries, "PINS", tmp_path / "pins")
    monkeypatch.setattr(binaries, "CACHE", tmp_path / "cache")
    component = Component("some", "example.com/some", {"some": "example.com/some"}, 1)
    component.folder.mkdir(parents=True)
    (component.folder / binaries.MARK).write_text(component.digest)
    return component


def test_the_version_is_that_of_go_mod(made):
    assert made.version == "v1.2.3"
    assert made.folder.name == "some-v1.2.3"
    with pytest.raises(LabError, match=r"does not pin example\.com/other"):
        _ = Component("some", "example.com/other", {}, 1).version


def test_what_is_built_is_kept_until_a_pin_or_a_hash_changes(made):
    assert made.complete
    (binaries.PINS / "some" / "go.sum").write_text("example.com/some v1.2.3 h1:changed=\n")
    assert not made.complete


def test_what_was_cut_off_is_not_taken_for_done(made):
    (made.folder / binaries.MARK).unlink()
    assert not made.complete
