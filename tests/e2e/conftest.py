"""Two real model servers for all of this folder's tests, and a place with a real Envoy for each."""

import os
from collections.abc import Iterator, Mapping

import pytest

from fairway_steps.model import Version
from servers import Place, two_models

collect_ignore = [] if os.environ.get("FAIRWAY_E2E") else ["cluster"]
"""Those tests need a cluster: `make e2e` runs them."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Version]]:
    with two_models(tmp_path_factory.mktemp("models")) as versions:
        yield versions


@pytest.fixture
def place(tmp_path, models) -> Iterator[Place]:
    made = Place(tmp_path, models)
    try:
        yield made
    finally:
        made.close()
