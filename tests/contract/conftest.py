"""One real API server for all contracts that need one."""

import pytest

from api_server import kubeconfig
from fairway_steps.clock import SystemClock
from fairway_steps.cluster.connect import connect


@pytest.fixture(scope="session")
def real_config(tmp_path_factory):
    """The kubeconfig of a real API server."""
    with kubeconfig(tmp_path_factory.mktemp("api")) as path:
        yield path


@pytest.fixture(scope="session")
def real(real_config):
    """A real cluster."""
    cluster = connect({"KUBECONFIG": str(real_config)}, SystemClock())
    yield cluster
    cluster.close()
