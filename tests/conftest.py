"""Fixtures for all tests: ports nobody listens on, and a server that accepts and says nothing."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

from matrix import (  # noqa: F401 - hooks
    pytest_addoption,
    pytest_configure,
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_sessionfinish,
)
from prometheus_server import Slots

settings.register_profile("untimed", deadline=None)  # a loaded machine is no reason to fail
settings.load_profile("untimed")


@pytest.fixture
def unused_port() -> int:
    """A loopback port that refuses connections: bound and let go again just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slots]:
    """A real Prometheus with addresses to fill."""
    made = Slots(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.close()
