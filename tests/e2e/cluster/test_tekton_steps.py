"""Covers: every step of Tekton but `ramp`, one by one, in the example's Pipeline: a good candidate is load-tested, judged,
given its shares and promoted; a failing one is stopped by its load test before a user meets it. The results go from task to task, a
file comes by the workspace, `finally` makes things safe, reports and tells a receiver.

Leaves out: `ramp`, and the Pipelines that are rendered (test_tekton.py, test_tekton_strategies.py).
"""

import copy
import json
from pathlib import Path

import pytest
import yaml

from on_cluster.kube import apply, eventually, kubectl
from on_cluster.pipelines import EXAMPLE, condition, ended, results, skipped, story, tasks
from on_cluster.release import Service
from on_cluster.versions import IMAGE, MODEL

ROOT = Path(__file__).parents[3]
PIPELINE = yaml.safe_load((ROOT / "examples" / "steps-pipeline.yaml").read_text(encoding="utf-8"))
IMPORTED = ROOT / "tests" / "steps" / "loadtest" / "adapters" / "fixtures" / "fortio-1.57.3.json"
RECEIVER = """
import http.server
class Told(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print("told", self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("", 8080), Told).serve_forever()
"""


def receiver(name):
    """A pod that prints what it is told, and its Service."""
    container = {
        "name": "receiver",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", RECEIVER],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    pod = {"containers": [container], "securityContext": {"runAsNonRoot": True, "runAsUser": 65532}}
    about = {"name": name, "labels": {"app": name}}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


@pytest.fixture
def given(tekton, service):
    """What the example's run needs beside the service; returns its parameters."""
    name, file = f"{service.name}-told", f"{service.name}-files"
    files = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": file},
        "data": {"fortio.json": IMPORTED.read_text()},
    }
    apply(tekton, [*receiver(name), files, PIPELINE])
    kubectl("wait", "-n", tekton, "--for=condition=Ready", f"pod/{name}", "--timeout=120s", timeout=130)
    wanted = {each["name"] for each in PIPELINE["spec"]["params"]}
    return {key: value for key, value in service.parameters().items() if key in wanted} | {
        "model": MODEL,
        "load-url": f"http://{service.candidate}.{tekton}/v2/models/{MODEL}/infer",
        "results": "fortio:/workspace/files/fortio.json",
        "notify-url": f"http://{name}.{tekton}/releases",
    }


def create(namespace, service: Service, given):
    body = copy.deepcopy(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    body["spec"] |= {
        "pipelineRef": {"name": PIPELINE["metadata"]["name"]},
        "params": [{"name": name, "value": value} for name, value in given.items()],
        "workspaces": [{"name": "files", "configMap": {"name": f"{service.name}-files"}}],
    }
    return kubectl("create", "-n", namespace, "-o", "name", "-f", "-", text=json.dumps(body)).strip().rpartition("/")[2]


def told(namespace, service):
    """The notices that the receiver got."""
    log = kubectl("logs", "-n", namespace, f"pod/{service.name}-told")
    return [json.loads(line.removeprefix("told ")) for line in log.splitlines() if line.startswith("told ")]


def test_good_is_promoted_step_by_step(tekton, service, given):
    service.deploy()
    with service.client() as client:
        name = create(tekton, service, given)
        found = ended(tekton, name)
    assert condition(found)["status"] == "True", story(tekton, name)
    ran = tasks(tekton, name)
    tasked = {one["taskRef"]["name"] for one in PIPELINE["spec"]["tasks"]}
    (finish,) = PIPELINE["spec"]["finally"]
    used = tasked | {one["ref"]["name"] for one in finish["taskSpec"]["steps"]}
    assert used | {"fairway-ramp"} == {
        f"fairway-{each.stem}" for each in (ROOT / "manifests" / "tekton" / "tasks").glob("*.yaml")
    }
    assert skipped(found) == {"rollback"}
    assert json.loads(results(ran["import-results"])["summary"])["requests"] == 120
    assert json.loads(results(ran["load-test"])["summary"])["requests"] == 500
    judged = {each: results(ran[each])["verdict"] for each in ("assess-load-test", "assess-20", "assess-50")}
    assert judged == {"assess-load-test": "advance", "assess-20": "advance", "assess-50": "promote"}
    assert results(found) == {"outcome": "promoted", "notice": "delivered"}
    assert "promoted" in str(eventually(lambda: told(tekton, service)))
    service.check("v2", client)


def test_failing_is_stopped_by_its_load_test(tekton, service, given):
    service.deploy("failing")
    with service.client() as client:
        name = create(tekton, service, given)
        found = ended(tekton, name)
    assert condition(found)["status"] == "False", story(tekton, name)
    ran = tasks(tekton, name)
    assert results(ran["assess-load-test"])["verdict"] == "rollback"
    assert "set-weights-20" not in ran
    assert results(found) == {"outcome": "rolled-back", "notice": "delivered"}
    assert client.answered_by("v2") == []
    service.check("v1", client)
