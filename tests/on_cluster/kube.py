"""kubectl, on the cluster of KUBECONFIG; and waiting for what it shows."""

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest
import yaml

T = TypeVar("T")


def kubectl(*command: str, text: str | None = None, check: bool = True, timeout: float = 120) -> str:
    done = subprocess.run(
        ["kubectl", *command], input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0 or not check, f"kubectl {' '.join(command)}\n{done.stderr}"
    return done.stdout if done.returncode == 0 else done.stderr


def named(request: pytest.FixtureRequest) -> str:
    """A name for the objects of one test: short, and no other test's."""
    words = request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").replace("]", "")
    return f"{words[:24].strip('-')}-{uuid.uuid4().hex[:4]}"


def apply(namespace: str, objects: Iterable[Mapping[str, Any]], *more: str) -> str:
    text = yaml.safe_dump_all([dict(each) for each in objects])
    words = ("apply", "--server-side", "--field-manager=tests", "--force-conflicts")
    return kubectl(*words, "-n", namespace, *more, "-f", "-", text=text)


def get(namespace: str, what: str) -> dict[str, Any] | None:
    """``KIND/NAME`` as JSON, or None."""
    found = kubectl("get", what, "-n", namespace, "-o", "json", "--ignore-not-found")
    return json.loads(found) if found.strip() else None


def items(namespace: str, kind: str, selector: str = "") -> list[dict[str, Any]]:
    found = kubectl("get", kind, "-n", namespace, "-o", "json", f"--selector={selector}")
    return list(json.loads(found)["items"])


def eventually(condition: Callable[[], T], timeout: float = 120.0, every: float = 0.25, why: str = "") -> T:
    """What the condition returns as soon as it is true of something."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in {timeout:g} s: {why or condition}"
        time.sleep(every)
    return found


def weights(namespace: str, route: str, kind: str = "httproute") -> dict[str, int]:
    """The Services that a route's first rule points at, and their weights, as stored."""
    found = get(namespace, f"{kind}/{route}")
    assert found is not None, f"there is no {kind} {route}"
    return {one["name"]: one.get("weight", 1) for one in found["spec"]["rules"][0]["backendRefs"]}


def gateway() -> str:
    """Where the lab's gateway listens, or what FAIRWAY_GATEWAY_URL says of another cluster's."""
    if given := os.environ.get("FAIRWAY_GATEWAY_URL"):
        return given
    selector = "gateway.envoyproxy.io/owning-gateway-name=eg"
    (found,) = items("envoy-gateway-system", "service", selector)
    return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"


@cache
def prometheus() -> str:
    """Where the lab's Prometheus listens, or what FAIRWAY_PROMETHEUS_URL says of another's; empty if it is out of reach from here."""
    given = os.environ.get("FAIRWAY_PROMETHEUS_URL", "")
    if not given and (found := get("monitoring", "service/prometheus")):
        given = f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"
    return given if given and in_reach(given) else ""


def in_reach(url: str) -> bool:
    """Whether somebody listens there."""
    at = urlsplit(url)
    try:
        socket.create_connection((at.hostname or "", at.port or 80), timeout=5).close()
    except OSError:
        return False
    return True


@cache
def kinds() -> frozenset[str]:
    """All kinds that the cluster knows."""
    return frozenset(line.split()[-1] for line in kubectl("api-resources", "--no-headers").splitlines())


def has_kind(kind: str) -> bool:
    return kind in kinds()


def spares(what: str) -> None:
    """Skip a test that would hurt whoever else uses the cluster: it runs on the lab alone."""
    if "FAIRWAY_LAB" not in os.environ:
        pytest.skip(f"on a cluster of others, {what} is left alone")


def lacks(what: str) -> NoReturn:
    """The cluster lacks something: a test that wants it is skipped, but on the lab, which has it all, it fails."""
    told = f"this cluster has no {what}"
    if "FAIRWAY_LAB" in os.environ:
        pytest.fail(told)
    pytest.skip(told)
