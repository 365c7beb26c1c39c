"""Fairway's rendered manifests, as objects."""

from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"


def rendered(*folders: str) -> list[dict[str, Any]]:
    """All objects in these folders of `manifests/`; without any, those that Argo needs in one namespace.

    A folder's kustomization is no object: it has no metadata.
    """
    found: list[dict[str, Any]] = []
    for folder in folders or ("argo", "argo/rbac"):
        for file in sorted((MANIFESTS / folder).glob("*.yaml")):
            read = yaml.safe_load_all(file.read_text(encoding="utf-8"))
            found += [each for each in read if each and "metadata" in each]
    return found
