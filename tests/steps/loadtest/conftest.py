"""What all tests of the load test need."""

import pytest

from fairway_steps.loadtest import lateness


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may hold up the tests' own client, and a timeout that it notices late would be nobody's."""
    monkeypatch.setattr(lateness, "NOTICE_FLOOR", 60.0)
