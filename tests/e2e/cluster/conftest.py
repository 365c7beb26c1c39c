"""A namespace for each module's tests, with Fairway's templates in it, as `kubectl apply -k` would put them."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from on_cluster.kube import apply, gateway, has_kind, in_reach, kubectl, lacks, named, prometheus
from on_cluster.manifests import rendered
from on_cluster.release import Service

ROOT = Path(__file__).parents[3]
LONGEST_FIRST = ("faults", "strategies", "kserve", "canary", "tekton_strategies", "broken_off", "tekton")
"""Files by what they take, for each is one worker's: the last to begin must not be a long one. Those not named come after."""
TEKTON = ("tekton", "tekton/rbac", "tekton/tasks", "tekton/stepactions", "tekton/pipelines")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.cluster)
    place = {f"test_{name}": number for number, name in enumerate(LONGEST_FIRST)}
    rest = [item for item in items if item not in ours]
    items[:] = [*sorted(ours, key=lambda item: place.get(item.path.stem, len(place))), *rest]


@pytest.fixture(scope="module")
def space(request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of its own; what it held is deleted with it, unless a test failed."""
    if not has_kind("WorkflowTemplate"):
        lacks("Argo Workflows")
    name = f"e2e-{request.module.__name__.rpartition('.')[2].removeprefix('test_').replace('_', '-')}-{uuid.uuid4().hex[:5]}"
    kubectl("create", "namespace", name)
    apply(name, rendered())
    failed = request.session.testsfailed
    yield name
    if request.session.testsfailed == failed:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def tekton(space: str) -> str:
    """The same namespace with the Tasks, StepActions and Pipelines as well."""
    if not has_kind("PipelineRun"):
        lacks("Tekton Pipelines")
    apply(space, rendered(*TEKTON))
    return space


@pytest.fixture
def service(space: str, address: str, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service of the test's own, of Deployments; idle, its versions would still be probed and scraped beside the tests that follow."""
    made = Service(space, named(request), address)
    yield made
    made.retire()


@pytest.fixture(scope="session")
def address() -> str:
    """The URL of the gateway."""
    url = gateway()
    assert in_reach(url), f"the Gateway at {url} is out of reach from here: FAIRWAY_GATEWAY_URL names where it listens"
    return url


@pytest.fixture(scope="session")
def within_reach() -> None:
    """For tests that run steps from here, which ask Prometheus and the versions' pods themselves."""
    if not prometheus():
        pytest.skip("the cluster's Prometheus is out of reach from here: FAIRWAY_PROMETHEUS_URL names it")
