"""Covers: releases that nobody submits, as GitOps has them: `kubectl apply` of a Workflow that refers to the WorkflowTemplate (the one
in examples/), and of a CronWorkflow; no CLI of Argo's, no server. The Workflow releases a candidate, the CronWorkflow a service's
first version.

Leaves out: what the template does (test_canary.py), a GitOps controller's own behaviour.
"""

from pathlib import Path

import yaml

from on_cluster.kube import apply, eventually, items, kubectl
from on_cluster.release import PROMETHEUS, Service
from on_cluster.workflows import ended, nodes, story

EXAMPLE = Path(__file__).parents[3] / "examples" / "canary-workflow.yaml"


def run(service, **changed):
    """What a Workflow says that leaves everything else to the template."""
    given = service.parameters(**changed)
    values = [{"name": name.replace("_", "-"), "value": value} for name, value in given.items() if value]
    return {"workflowTemplateRef": {"name": "canary-quick-v1"}, "arguments": {"parameters": values}}


def resource(kind, name, spec):
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_the_applied_example_is_a_release(space, address):
    service = Service(space, "digits", address)
    service.deploy()
    text = EXAMPLE.read_text().replace("inferenceservice/models/", f"deployment/{space}/")
    example = yaml.safe_load(text.replace("http://prometheus.monitoring:9090", PROMETHEUS))
    with service.client() as client:
        apply(space, [example])
        found = ended(space, example["metadata"]["name"])
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert service.record()["outcome"] == "promoted"
    assert service.record()["holder"] == found["metadata"]["uid"]
    service.check("v2", client)
    assert client.failed() == []
    apply(space, [example])
    assert ended(space, example["metadata"]["name"])["metadata"]["uid"] == found["metadata"]["uid"], "no second release"


def test_a_cron_workflow_releases_the_first_version_of_a_service_without_a_comparison(service):
    service.deploy_version("v1")
    service.await_version("v1")
    service.expose()
    first = run(service, primary="", candidate=f"v1=deployment/{service.namespace}/{service.primary}")
    spec = {"schedules": ["* * * * *"], "concurrencyPolicy": "Forbid", "workflowSpec": first}
    with service.client() as client:
        apply(service.namespace, [resource("CronWorkflow", service.name, spec)])
        selector = f"workflows.argoproj.io/cron-workflow={service.name}"
        (started,) = eventually(lambda: items(service.namespace, "workflow", selector)[:1], 90, why="a minute begins")
        kubectl("delete", f"cronworkflow/{service.name}", "-n", service.namespace, "--cascade=orphan")
        found = ended(service.namespace, started["metadata"]["name"])
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert not [one for one in nodes(found) if one["displayName"] == "ramp" and one["phase"] != "Skipped"]
    record = service.record()
    assert (record["outcome"], record["results"]) == ("promoted", [])
    assert "there was nothing to compare it with" in record["reason"]
    service.check("v1", client)
    assert client.failed() == []
