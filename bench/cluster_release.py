"""What a release on a real Argo spends its time on, what it asks of the API server, and how large its images are.

Run: `make bench-cluster`, on the lab (`make lab`), with nothing else at work there. Releases a good candidate in stages of 10 s at 20, 40
and 60 % under 50 requests/s, with a pod a stage and with the ramp in one pod; then some that fail 20 % of their requests
against a limit of 1 %. All times are of one run each, to the second: pods' statuses know no less.
"""

import argparse
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from types import TracebackType
from typing import Any, Self

from lab import project_images
from lab.addons import argo
from lab.places import AUDIT, RELEASES
from lab.processes import run
from on_cluster.client import Client
from on_cluster.kube import gateway, kubectl
from on_cluster.release import Service
from on_cluster.workflows import ended, nodes, submit

ACCOUNT = f"system:serviceaccount:{RELEASES}:fairway-releaser"
STAGE = 10.0
FAILING = 5
"""How many failing candidates are released."""
ABOVE_BASE_MB = {"core": 130, "assess": 330}
"""Goals: the steps that set weights, and the one that assesses."""


@dataclass(frozen=True)
class Pod:
    """One pod of a workflow; Unix times."""

    step: str
    created: float
    started: float
    finished: float


@dataclass(frozen=True)
class Run:
    """One release: its workflow, its record, its pods in order, and what its client saw."""

    workflow: dict[str, Any]
    record: dict[str, Any]
    pods: list[Pod]
    client: Client

    @property
    def submitted(self) -> float:
        return unix(self.workflow["metadata"]["creationTimestamp"])


class Pods:
    """Follows the pods of a namespace while it is entered: Argo deletes those that succeed."""

    def __init__(self, namespace: str) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        command = ["kubectl", "get", "pods", "-n", namespace, "-l", "workflows.argoproj.io/workflow"]
        self._watch = subprocess.Popen([*command, "--watch", "-o", "json"], stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.terminate()
        self._watch.wait()

    def _read(self) -> None:
        assert self._watch.stdout is not None
        text = ""
        for line in self._watch.stdout:
            text += line
            if line.startswith("}"):
                pod = json.loads(text)
                text = ""
                if _ends(pod):
                    self.seen[pod["metadata"]["annotations"]["workflows.argoproj.io/node-id"]] = pod


def _ends(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """How the containers of the step ended, without Argo's own; none while one still runs."""
    ours = [one for one in pod["status"].get("containerStatuses", []) if one["name"] != "wait"]
    ends = [one["state"].get("terminated") for one in ours]
    return [end for end in ends if end] if all(ends) else []


def unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def release(template: str, behave: str, name: str) -> Run:
    service = Service(RELEASES, name, gateway())
    service.deploy(behave)
    # The candidate is ready: what is measured is a release, not the start of a model server.
    kubectl("rollout", "status", f"deployment/{service.candidate}", "-n", RELEASES, "--timeout=180s", timeout=200)
    with service.client() as client, Pods(RELEASES) as pods:
        found = ended(RELEASES, submit(RELEASES, template, **service.parameters()))
    made = []
    for one in nodes(found):
        if one["type"] == "Pod" and (pod := pods.seen.get(one["id"])):
            ends = _ends(pod)
            begun, done = (
                pick(unix(end[key]) for end in ends) for pick, key in ((min, "startedAt"), (max, "finishedAt"))
            )
            made.append(Pod(one["displayName"], unix(one["startedAt"]), begun, done))
    done = Run(found, service.record(), sorted(made, key=lambda pod: pod.created), client)
    for kind in ("deployment", "service"):
        kubectl("delete", kind, service.primary, service.candidate, "-n", RELEASES, "--wait=false")
    kubectl("delete", f"httproute/{name}", f"configmap/fairway-{name}", "-n", RELEASES)
    return done


def tell_time(run: Run, stages: int) -> None:
    """Where the time went: the parts add up to the whole, for the steps follow one another."""
    wall = unix(run.workflow["status"]["finishedAt"]) - run.submitted
    evidence = sum(min(one["waited"], STAGE) for one in run.record["results"])
    starting = sum(pod.started - pod.created for pod in run.pods)
    running = sum(pod.finished - pod.started for pod in run.pods)
    judged = sum(pod.finished - pod.started for pod in run.pods if pod.step.startswith("stage")) - evidence
    each = f", of which {judged / stages:.1f} s a stage (goal: 2)" if judged > 0 else ""
    after = run.record["finished"] - run.submitted
    print(f"  {run.record['outcome']} {after:.0f} s after it was submitted; ended after {wall:.0f} s")
    print(
        f"  evidence {evidence:.0f} s, pods' start-up {starting:.0f} s ({len(run.pods)} pods), controller's waits "
        f"{wall - starting - running:.0f} s, our own {running - evidence:.0f} s{each}"
    )
    for pod in run.pods:
        print(
            f"    {pod.created - run.submitted:5.0f} s  {pod.step:<24} starts in {pod.started - pod.created:2.0f} s, runs {pod.finished - pod.started:3.0f} s"
        )
    failed = run.client.failed()
    print(f"  {len(run.client.records)} requests, {len(failed)} failed")


def tell_requests(mark: int) -> None:
    """What the releases' account has asked of the API server since the audit log was ``mark`` bytes long."""
    asked: Counter[str] = Counter()
    with AUDIT.open(encoding="utf-8") as log:
        log.seek(mark)
        for line in log:
            one = json.loads(line)
            if one["user"]["username"] == ACCOUNT:
                whose = "argoexec" if one.get("userAgent", "").startswith("argo") else "fairway"
                what = one.get("objectRef", {}).get("resource") or one["requestURI"].partition("?")[0]
                asked[f"{whose} {one['verb']} {what}"] += 1
    ours = sum(n for what, n in asked.items() if what.startswith("fairway"))
    print(
        f"  {ours} API requests of ours, {asked.total() - ours} of Argo's executor: "
        + ", ".join(f"{what.removeprefix('fairway ')} {n}" for what, n in asked.most_common())
    )


def exposure(run: Run) -> tuple[float, int]:
    """Seconds from the first request that the candidate got to the last, by what clients saw, and how many failed."""
    hit = sorted(one.sent for one in run.client.records if one.version == "v2" or one.failed)
    failed, seconds = len(run.client.failed()), hit[-1] - hit[0] if hit else 0.0
    print(
        f"  off traffic {seconds:.1f} s after its first request; {failed} failed requests seen by users, of {len(hit)} it got"
    )
    return seconds, failed


def tell_exposure(seen: Sequence[tuple[float, int]]) -> None:
    """Which requests fail is chance, so the middle of several releases counts."""
    print(
        f"{len(seen)} such releases: off traffic after {median(s for s, _ in seen):.1f} s (goal: 5 s), "
        f"{median(n for _, n in seen):.0f} failed requests seen by users (goal: 10), {max(n for _, n in seen)} at most"
    )


def tell_images() -> None:
    """Uncompressed layers above the base, newest last."""
    layers = json.loads((project_images.STORE / "overlay-layers" / "layers.json").read_text(encoding="utf-8"))
    sizes = {one["diff-digest"]: one["diff-size"] for one in layers if "diff-digest" in one}
    store = (
        "--root",
        str(project_images.STORE),
        "--runroot",
        "/run/fairway-lab-buildah",
        "--storage-driver",
        "overlay",
    )

    def of(image: str) -> list[int]:
        told = json.loads(run("buildah", *store, "inspect", "--type", "image", image))
        return [sizes[digest] for digest in told["OCIv1"]["rootfs"]["diff_ids"]]

    base = of(project_images.BASE)
    print(f"images, MB by layer above the base ({sum(base) / 1e6:.0f} MB):")
    for kind in project_images.KINDS:
        own = [size / 1e6 for size in of(project_images.name_of(kind))[len(base) :]]
        goal = f" (goal: {ABOVE_BASE_MB[kind]})" if kind in ABOVE_BASE_MB else ""
        print(f"  {kind:<14}{' + '.join(f'{size:.1f}' for size in own)} = {sum(own):.0f}{goal}")


def told(title: str, template: str, behave: str, name: str) -> Run:
    """A release, and what it took."""
    mark = AUDIT.stat().st_size
    print(f"{title}:", flush=True)
    done = release(template, behave, name)
    tell_time(done, len(done.record["results"]))
    tell_requests(mark)
    return done


def measure(chosen: Sequence[str]) -> None:
    if "staged" in chosen:
        told("a good candidate, a pod a stage", "canary-v1", "good", "bench-staged")
    if "quick" in chosen:
        told("a good candidate, all in one pod (goal: promoted in 45 s)", "canary-quick-v1", "good", "bench-quick")
    if "failing" in chosen:
        title = "a candidate that fails 20 % against a limit of 1 %"
        tell_exposure(
            [exposure(told(title, "canary-quick-v1", "failing", f"bench-failing-{n}")) for n in range(FAILING)]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["staged", "quick", "failing", "images"])
    chosen = parser.parse_args().what
    with argo.as_installed():
        measure(chosen)
    if "images" in chosen:
        tell_images()


if __name__ == "__main__":
    main()
