"""Fairway's steps as any CI runs them: a process each, from here, on the cluster of KUBECONFIG, as the account that the manifests make."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from on_cluster.kube import kubectl, prometheus
from on_cluster.release import Service, metrics

BEGUN = ("service", "route", "primary", "candidate", "stages", "slos", "metrics", "record")
"""What `begin` is given; all other steps find it in the record."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a step ended. ``told`` is its JSON, ``took`` seconds."""

    code: int
    told: Mapping[str, Any]
    said: str
    took: float


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one release of ``service``."""

    service: Service

    def begin(self, code: int = 0, **changed: str) -> Done:
        given = self.service.parameters(**{"metrics": metrics(prometheus())} | changed)
        given = {name: value for name, value in given.items() if name in BEGUN} | changed
        return self.run("begin", code, **given)

    def ready(self, code: int = 0, **options: str) -> Done:
        """`wait-for-ready`, a first inference included."""
        given = self.service.parameters()
        return self.run("wait-for-ready", code, model=given["model"], payload=given["payload"], **options)

    def run(self, step: str, code: int = 0, **options: str) -> Done:
        """The step once it has ended, with exit code ``code``."""
        began = time.monotonic()
        process = self.start(step, **options)
        out, said = process.communicate(timeout=300)
        done = Done(process.returncode, json.loads(out) if out.strip() else {}, said, time.monotonic() - began)
        assert done.code == code, f"fairway {step} ended with {done.code}\n{said}{out}"
        return done

    def verdict(self, verdict: str) -> Done:
        """The ramp once it has reached this verdict; what it said is told if it is another."""
        done = self.run("ramp", patience=self.service.parameters()["patience"])
        assert done.told["verdict"] == verdict, f"{done.said}{json.dumps(done.told)}"
        return done

    def start(self, step: str, **options: str | Sequence[str]) -> "subprocess.Popen[str]":
        """The step as it begins; an option that is repeated has several values."""
        given = {"record": self.service.parameters()["record"]} | options
        every = {name: [value] if isinstance(value, str) else value for name, value in given.items()}
        words = [f"--{name.replace('_', '-')}={one}" for name, values in every.items() for one in values if one]
        return subprocess.Popen(
            [sys.executable, "-m", "fairway_steps", step, "--output=json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"KUBECONFIG": str(Path(_releaser(self.service.namespace).name, "config"))},
        )


@cache
def _releaser(namespace: str) -> "TemporaryDirectory[str]":
    """A folder with the kubeconfig of a release's account in a namespace, as long as the tests run: it has no right elsewhere."""
    config = json.loads(kubectl("config", "view", "--minify", "--raw", "-o", "json"))
    token = kubectl("create", "token", "fairway-releaser", "-n", namespace, "--duration=2h").strip()
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    folder: TemporaryDirectory[str] = TemporaryDirectory()
    Path(folder.name, "config").write_text(json.dumps(config), encoding="utf-8")
    return folder
