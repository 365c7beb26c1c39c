"""Covers: every rendered file is accepted by the real API server (a server-side dry run), and by `argo lint`.

Leaves out: Argo's own JSON schema (tests/workflows/test_schema.py), what the templates do.
"""

import pytest
import yaml

from on_cluster.kube import apply
from on_cluster.manifests import MANIFESTS
from on_cluster.workflows import argo

FILES = sorted(path.relative_to(MANIFESTS).as_posix() for path in (MANIFESTS / "argo").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES)
def test_the_api_server_takes_it(space, file):
    objects = [each for each in yaml.safe_load_all((MANIFESTS / file).read_text(encoding="utf-8")) if each]
    told = apply(space, objects, "--dry-run=server", "--validate=strict")
    assert told.count("(server dry run)") == len(objects) > 0


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith("argo/rbac")])
def test_argo_lints_it(space, file):
    assert "no linting errors" in argo(space, "lint", str(MANIFESTS / file))
