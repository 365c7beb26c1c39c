"""The contract of releases of two services in one route, over the cluster in memory and over a real API server: neither sees, fences
off, moves or undoes the other, whatever each does and in whatever order; what is nobody's of theirs stays byte-equal.

Left out: two services in one folder of Envoy's (tests/steps/routing/test_envoy.py); back ends whose object is one service.
"""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced, UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.routing.istio import IstioRouter
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab
from fakes_istio import IstioLab

KINDS = ("httproute", "grpcroute", "virtualservice")
NAMES = {"iris": ("v1", "v2.1"), "wine-iris": ("w1", "w2")}
"""Of two services, one's name ends as the other's: the names of their rules must not be mixed up."""


class Shared:
    """One route of two services, and a router for each."""

    def __init__(self, kind, cluster):
        made = {
            service: IstioLab(cluster, names) if kind == "virtualservice" else GatewayLab(cluster, kind, names)
            for service, names in NAMES.items()
        }
        self.labs, self.lab, self.cluster = list(made.values()), made["iris"], cluster
        self.lab.share(next(iter(made["wine-iris"].services.values())))
        self.back_end = IstioRouter if kind == "virtualservice" else GatewayRouter
        self.versions = {service: lab.versions for service, lab in made.items()}
        self.before = self.lab.rules()

    def router(self, service):
        """As another process has it."""
        return self.back_end(self.lab.ref, service, self.versions[service], self.cluster, FakeClock())

    def routes(self, service, weight, match, mirror):
        first, second = NAMES[service]
        weights = {name: share for name, share in ((first, 100 - weight), (second, weight)) if share}
        matches = (HeaderMatch("x-test", "yes", second),) if match else ()
        return Routes(weights, matches, Mirror(second, 30) if mirror else None)

    def whole(self, service):
        return Routes({NAMES[service][0]: 100})

    def close(self):
        for lab in self.labs:
            lab.close()


@pytest.fixture(params=[*KINDS, *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in KINDS)])
def shared(request):
    kind = request.param.removeprefix("real-")
    real = "istio" if kind == "virtualservice" else "gateway_api"
    made = Shared(kind, request.getfixturevalue(real) if kind != request.param else FakeCluster())
    yield made
    made.close()


def test_each_has_its_own_split_token_and_way_back(shared):
    iris, wine = map(shared.router, NAMES)
    ours, theirs = iris.snapshot(), wine.snapshot()
    one, two = shared.routes("iris", 20, True, True), shared.routes("wine-iris", 50, True, False)
    iris.claim(9)
    wine.claim(1)
    iris.apply(one, shared.versions["iris"], fence=9)
    wine.apply(two, shared.versions["wine-iris"], fence=1)
    assert (iris.read(), wine.read(), iris.fence(), wine.fence()) == (one, two, 9, 1)
    with pytest.raises(Fenced):
        iris.apply(one, shared.versions["iris"], fence=8)
    with pytest.raises(UsageError, match=r"no snapshot of .* for wine-iris"):
        wine.restore(ours)
    iris.restore(ours, fence=10)
    assert (iris.read(), wine.read(), wine.fence()) == (shared.whole("iris"), two, 1)
    wine.restore(theirs, fence=2)
    assert (iris.fence(), wine.fence()) == (10, 2)
    assert shared.lab.rules() == shared.before


def test_a_write_of_one_between_the_read_and_the_write_of_the_other_is_kept(shared):
    iris, wine = map(shared.router, NAMES)
    one, two = shared.routes("iris", 20, True, True), shared.routes("wine-iris", 50, True, True)
    patch, written = shared.cluster.patch, []

    def meanwhile(ref, change, **options):
        if not written:
            written.append(True)
            wine.apply(two, shared.versions["wine-iris"], fence=1)
        return patch(ref, change, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shared.cluster, "patch", meanwhile)
        iris.apply(one, shared.versions["iris"], fence=1)
    assert (written, iris.read(), wine.read()) == ([True], one, two)


def test_where_a_persons_rule_is_gone_only_what_is_the_services_own_goes_back(shared):
    iris, wine = map(shared.router, NAMES)
    saved = iris.snapshot()
    two = shared.routes("wine-iris", 50, True, True)
    iris.apply(shared.routes("iris", 20, True, True), shared.versions["iris"])
    wine.apply(two, shared.versions["wine-iris"])
    field = shared.back_end.part[0]
    of_users = [rule for rule in shared.lab.rules() if "fairway-match" not in rule.get("name", "")]
    gone = [shared.before[-1], [rule for rule in of_users if rule != shared.before[-1]][-1]]
    left = [rule for rule in shared.lab.rules() if rule not in gone]
    shared.lab.edit({"spec": {field: left}})
    iris.restore(saved)
    assert (iris.read(), wine.read()) == (shared.whole("iris"), two)
    assert [rule for rule in shared.lab.rules() if rule in shared.before] == [
        rule for rule in shared.before if rule != shared.before[1]
    ]


STEP = st.tuples(
    st.sampled_from(sorted(NAMES)),
    st.just("restore") | st.just("edit") | st.tuples(st.sampled_from([0, 1, 50, 100]), st.booleans(), st.booleans()),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=8), st.permutations(sorted(NAMES)))
def test_whatever_each_does_in_whatever_order_the_other_and_the_rest_stay(kind, steps, last):
    shared = Shared(kind, FakeCluster())
    saved = {service: shared.router(service).snapshot() for service in NAMES}
    expected = {service: shared.whole(service) for service in NAMES}
    tokens = dict.fromkeys(NAMES, 0)
    before = copy.deepcopy(shared.before)
    field = shared.back_end.part[0]
    for number, (service, step) in enumerate(steps):
        if step == "edit":  # a person adds a rule of theirs at the end
            added = {key: value for key, value in before[1].items() if key not in ("backendRefs", "route")}
            added = json.loads(json.dumps(added).replace("other", f"new-{number}"))
            shared.lab.edit({"spec": {field: [*shared.lab.rules(), added]}})
            before.append(added)
        elif step == "restore":
            tokens[service] += 1
            shared.router(service).restore(saved[service], fence=tokens[service])
            expected[service] = shared.whole(service)
        else:
            expected[service] = shared.routes(service, *step)
            shared.router(service).apply(expected[service], shared.versions[service], fence=tokens[service])
        assert {name: shared.router(name).read() for name in NAMES} == expected
        assert {name: shared.router(name).fence() for name in NAMES} == tokens
    for service in last:
        shared.router(service).restore(saved[service])
    assert shared.lab.rules() == before
