"""What is done to a Gateway API route by others while a release writes it, over the cluster in memory and over a real API server: three
conflicts in a row, weights that something else changes after a write was answered with 200, conditions that stay false; each in a split, after a
cut-over, and while requests are mirrored.

Left out: other faults (tests/steps/routing/test_gateway_api.py, over the fake), real traffic (tests/e2e).
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import NotSettled
from fairway_steps.model import Mirror, Routes
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.settled import await_settled
from fairway_steps.weights import Confirmation, set_weights
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab

ASKED = {
    "canary": Routes({"v1": 80, "v2.1": 20}),
    "blue-green": Routes({"v2.1": 100}),
    "mirror": Routes({"v1": 100}, mirror=Mirror("v2.1", 50)),
}
CONFIRM = Confirmation(settle=1.0, requests=0, wait=0.0)


class Disturbed:
    """A cluster where somebody writes ``before`` and ``after`` each write of ours."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.before = self.after = lambda: None
        self.conflicts = 0

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def patch(self, ref, patch, **options):
        self.before()
        try:
            written = self._cluster.patch(ref, patch, **options)
        except Exception:
            self.conflicts += 1
            raise
        if not options.get("dry_run"):
            self.after()
        return written


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def lab(request):
    made = GatewayLab(FakeCluster() if request.param == "fake" else request.getfixturevalue("gateway_api"))
    yield made
    made.close()


@pytest.fixture
def cluster(lab):
    return Disturbed(lab.cluster)


@pytest.fixture
def router(lab, cluster):
    made = GatewayRouter(lab.ref, "iris", lab.versions, cluster, FakeClock())
    made._programmed = True  # there is no Gateway here, but somebody who writes the route's conditions
    return made


@pytest.fixture(params=ASKED.values(), ids=ASKED)
def asked(request):
    return request.param


def test_after_three_conflicts_ours_is_written_and_every_foreign_edit_is_kept(lab, cluster, router, asked):
    edits = iter(range(3))

    def meanwhile():
        if (number := next(edits, None)) is not None:
            rules = lab.stored()["spec"]["rules"]
            rules[-1]["backendRefs"] = [*rules[-1]["backendRefs"]]
            rules[1]["backendRefs"][0]["weight"] = 2 + number
            lab.edit({"spec": {"rules": rules}, "metadata": {"annotations": {f"edit-{number}": "1"}}})

    cluster.before = meanwhile
    assert router.apply(asked, lab.versions) == asked
    assert cluster.conflicts == 3
    found = lab.stored()
    assert found["spec"]["rules"][1]["backendRefs"][0]["weight"] == 4
    assert {f"edit-{number}" for number in range(3)} < set(found["metadata"]["annotations"])
    assert router.read() == asked


def test_weights_that_something_else_writes_after_ours_are_never_done(lab, cluster, router, asked):
    """The API server has answered with 200, and the read-back tells."""
    before = lab.stored()["spec"]

    def reverted():
        cluster.after = lambda: None
        lab.edit({"spec": before})

    cluster.after = reverted
    with pytest.raises(NotSettled, match="accepted, but the route now holds v1 100 %"):
        set_weights(
            router, router.clock, routes=asked, versions=lab.versions, fence=1, stage=0, why="stage", confirm=CONFIRM
        )


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (
            {"Accepted": "False:NoMatchingParent:no listener fits"},
            r"Accepted is False \(NoMatchingParent\): no listener",
        ),
        ({"ResolvedRefs": "False:BackendNotFound:no v2"}, r"ResolvedRefs is False \(BackendNotFound\): no v2"),
    ],
)
def test_a_route_that_is_stored_and_not_accepted_is_waited_for_and_fails_with_the_conditions_text(
    lab, router, asked, conditions, sentence
):
    router.apply(asked, lab.versions)
    assert router.settled() is False
    assert "older generation" in router.trouble, "what was accepted is what was there before"
    lab.accept(**conditions)
    with pytest.raises(NotSettled, match=sentence):
        await_settled(router, router.clock, 1.0)
    lab.accept()
    await_settled(router, router.clock, 1.0)
