"""The contract of a release that is killed: after any of its writes, to the record or to the route, through every back end. Each state in between
gives users to versions that answer, alone; from each `ensure-safe` makes one version of it, and it can be resumed or begun anew.

Left out: two of three writes of Envoy's files, kills of real processes (tests/e2e/test_interrupted.py), an API server that keeps half of a write, workloads (tests/steps/test_retire.py).
"""

import itertools
import re
from contextlib import contextmanager
from functools import partial

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import UsageError
from fairway_steps.model import Outcome, Routes
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import ensure_safe, promote, rollback
from fairway_steps.routing.folder import Folder
from fairway_steps.weights import enter_stage
from releases import CONFIRM, FIRST, SECOND, STRATEGIES, Release
from route_worlds import IN_CLUSTER, world_of


class Killed(BaseException):
    """Nothing catches it."""


class Killable(Release):
    """A release that is killed after its ``left``-th write; ``seen`` is the candidate's share after each."""

    def __init__(self, world, strategy, folder, left):
        named, stages = STRATEGIES[strategy]
        super().__init__(world, named, stages, folder)
        self.left, self.seen, self.router = left, [], world.router
        self.world, self.store, self.clock = Counted(world, self), Recorded(folder / "record.json", self), FakeClock()

    def written(self):
        routes = self.router().read()
        assert set(routes.weights) <= {FIRST, SECOND}
        self.seen.append(routes.weights.get(SECOND, 0))
        self.left -= 1
        if not self.left:
            raise Killed

    def lease(self):
        record = self.store.load()
        return Lease(record.release_id, record.token)

    def enter(self, index):
        enter_stage(self.store, self.lease(), self.world.router(), self.clock, index=index, confirm=CONFIRM)

    def promote(self):
        promote(self.store, self.lease(), self.world.router(), self.clock, alive=lambda: "", confirm=CONFIRM)

    def rollback(self):
        back = Outcome.ROLLED_BACK
        rollback(self.store, self.lease(), self.world.router(), self.clock, outcome=back, reason="", confirm=CONFIRM)

    def make_safe(self):
        return ensure_safe(self.store, self.world.router(), self.clock, holder="exit handler")

    def stages_from(self, first):
        for index in range(first, len(self.stages)):
            self.enter(index)


class Recorded(FileStore):
    def __init__(self, path, release):
        super().__init__(path)
        self.release = release

    def update(self, change):
        record = super().update(change)
        self.release.written()
        return record


class Counted:
    """A world whose routers' writes are counted, and whose time is the release's."""

    def __init__(self, world, release):
        self.__dict__.update(vars(world))
        self._world, self._release = world, release

    def __getattr__(self, name):
        return getattr(self._world, name)

    def router(self):
        router = self._world.router()
        if hasattr(router, "cluster"):
            router.clock, router.cluster = self._release.clock, Written(router.cluster, self._release)
        elif hasattr(router, "stored"):
            for name in ("apply", "claim", "restore", "give_all"):
                setattr(router, name, partial(self._called, getattr(router, name)))
        return router

    def _called(self, call, *args, **options):
        answer = call(*args, **options)
        self._release.written()
        return answer


class Written:
    """A cluster as a router has it."""

    def __init__(self, cluster, release):
        self._cluster, self._release = cluster, release

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def patch(self, ref, patch, **options):
        answer = self._cluster.patch(ref, patch, **options)
        if not options.get("dry_run"):
            self._release.written()
        return answer


RUNS = {
    "promoted": lambda release: (release.begin(), release.stages_from(0), release.promote()),
    "rolled back": lambda release: (release.begin(), release.enter(0), release.rollback()),
    "resumed": lambda release: (
        release.begin(),
        release.enter(0),
        release.make_safe(),
        release.begin("b", resume=True),
        release.stages_from(0),
        release.promote(),
    ),
    "begun anew": lambda release: (release.begin(), release.enter(0), release.make_safe(), release.begin("b")),
}


CASES = [
    *((kind, "canary", run) for kind in ("fake", *IN_CLUSTER) for run in RUNS),
    *((kind, "canary, testers first", "promoted") for kind in ("fake", "httproute", "virtualservice")),
    *((kind, "mirror", run) for kind in ("httproute", "virtualservice") for run in ("promoted", "rolled back")),
    ("grpcroute", "mirror", "promoted"),
    ("envoy", "canary", "resumed"),
    ("envoy", "mirror", "promoted"),
]
KILLED = pytest.mark.parametrize(
    "killed",
    [pytest.param(one, marks=[pytest.mark.local] if one[0] == "envoy" else [], id="-".join(one)) for one in CASES],
    indirect=True,
)


@pytest.fixture
def killed(request, tmp_path, monkeypatch):
    """For each write of a run a release that was killed after it, all on one route that is as it was."""
    kind, strategy, run = request.param
    with world_of(kind, tmp_path, request.getfixturevalue) as world:
        foreign = world.foreign()

        def each():
            for number in itertools.count(1, 3 if kind == "envoy" else 1):
                folder = tmp_path / str(number)
                folder.mkdir()
                release = Killable(world, strategy, folder, number)
                try:
                    with counted_files(release, monkeypatch):
                        RUNS[run](release)
                except Killed:
                    yield release, foreign
                    world.router().give_all(world.known[FIRST])
                    world.router().settled()
                else:
                    assert number > 5
                    return

        yield each


@contextmanager
def counted_files(release, monkeypatch):
    """Envoy's files are written by nobody else."""
    with monkeypatch.context() as patched:
        for name in ("write", "remove"):
            call = getattr(Folder, name)

            def written(*args, call=call):
                call(*args)
                assert not missing(release.world.lab)
                release.written()

            patched.setattr(Folder, name, written)
        yield


def missing(lab):
    """Clusters that Envoy's routes name, and that are not there."""
    named = set(re.findall(r"'(iris/(?!match/)[^']*)'", str(lab.load("routes.json"))))
    return named - {cluster["name"] for cluster in lab.load("clusters.json")["resources"]}


@KILLED
def test_after_any_kill_one_version_has_all_and_nothing_of_ours_is_left(killed):
    for release, foreign in killed():
        before = release.seen[-1]
        release.seen.clear()
        _, record = release.make_safe()
        stable = record.stable.name if record else FIRST
        assert (release.router().read(), release.world.foreign()) == (Routes({stable: 100}), foreign)
        assert stable == SECOND or release.seen == sorted(release.seen, reverse=True)
        assert stable == SECOND or max(release.seen, default=0) <= before


@KILLED
def test_after_any_kill_it_can_be_resumed_or_begun_anew(killed):
    for release, _ in killed():
        held = release.store.load()
        if held and held.outcome is Outcome.PROMOTED:
            assert release.router().read() == Routes({SECOND: 100})
            continue
        ended = held is not None and not held.resumable
        if ended:
            with pytest.raises(UsageError, match="cannot be resumed"):
                release.begin("late", resume=True)
        record = release.begin("late", resume=not ended)
        release.stages_from(record.next_stage)
        release.promote()
        assert release.router().read() == Routes({SECOND: 100})
