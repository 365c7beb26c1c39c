"""The cluster's programs, built from Go modules: pinned and verified by the go.mod and go.sum of each, cached by version.

A component is complete when its mark holds the digest of what it was made from. Each program is put in place by a
rename, so what lies there works. The build's own caches (up to 20 GB) are dropped when all is made.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.places import CACHE
from lab.progress import LabError, part

PINS = Path(__file__).parent / "go"
BUILD = CACHE / "build"
MARK = ".complete"
LEAN = ("-trimpath", "-pgo=off", "-gcflags=all=-dwarf=false")
"""Nothing that is only for debuggers, and each package compiled once: with a profile each program has its own of all."""


@dataclass(frozen=True, slots=True)
class Component:
    """One module: the programs made of its packages, and the folders of install manifests kept beside them."""

    name: str
    module: str
    programs: Mapping[str, str]
    minutes: float
    keep: tuple[str, ...] = ()
    tags: str = ""
    """Build tags."""
    stamps: Mapping[str, str] = field(default_factory=dict)
    """Variables set at link time; ``VERSION`` in a value is the module's version."""
    mend: Callable[[Path], None] | None = None
    """Repairs a copy of the module, for those whose zip is not whole."""

    @property
    def version(self) -> str:
        """The version that go.mod pins; our own programs have none."""
        if not self.module:
            return "v1"
        for line in (PINS / self.name / "go.mod").read_text(encoding="utf-8").splitlines():
            words = line.removeprefix("require").split()
            if words[:1] == [self.module] and "=>" not in words:
                return words[1]
        raise LabError(f"lab/go/{self.name}/go.mod does not pin {self.module}")

    @property
    def folder(self) -> Path:
        return CACHE / f"{self.name}-{self.version}"

    @property
    def digest(self) -> str:
        """What the programs depend on."""
        pins = b"".join(path.read_bytes() for path in sorted((PINS / self.name).iterdir()))
        how = json.dumps([dict(self.programs), dict(self.stamps), self.keep, self.tags], sort_keys=True).encode()
        return hashlib.sha256(pins + how).hexdigest()

    @property
    def complete(self) -> bool:
        mark = self.folder / MARK
        return mark.exists() and mark.read_text(encoding="utf-8") == self.digest

    def program(self, name: str) -> Path:
        return self.folder / name


def _mend_argo(copy: Path) -> None:
    """The module's zip lacks a file that git keeps as a link, and the user interface that the CLI embeds."""
    signals = copy / "workflow" / "executor" / "osspecific"
    shutil.copy(signals / "signal_darwin.go", signals / "signal_linux.go")
    page = copy / "ui" / "dist" / "app" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>\n", encoding="utf-8")


_KUBE_STAMP = "k8s.io/component-base/version."
_ARGO = "github.com/argoproj/argo-workflows/v3"
_TEKTON = "github.com/tektoncd/pipeline"

PAUSE = Component("pause", "", {"pause": "fairway/lab/pause"}, 0.1)
ETCD = Component("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}, 1)
KUBERNETES = Component(
    "kubernetes",
    "k8s.io/kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
    },
    6,
    stamps={f"{_KUBE_STAMP}gitVersion": "VERSION", f"{_KUBE_STAMP}gitMajor": "1", f"{_KUBE_STAMP}gitMinor": "34"},
)
COREDNS = Component("coredns", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}, 1)
ARGO = Component(
    "argo",
    _ARGO,
    {name: f"{_ARGO}/cmd/{name}" for name in ("workflow-controller", "argoexec", "argo")},
    3.5,
    keep=("manifests", "api/jsonschema"),
    stamps={f"{_ARGO}.{name}": "VERSION" for name in ("version", "gitTag")}
    | {f"{_ARGO}.gitCommit": "release", f"{_ARGO}.gitTreeState": "clean"},
    mend=_mend_argo,
)
ENVOY_GATEWAY = Component(
    "envoy-gateway",
    "github.com/envoyproxy/gateway",
    {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
    3,
    keep=("charts/gateway-helm/crds",),
)
TEKTON = Component(
    "tekton",
    _TEKTON,
    {
        name: f"{_TEKTON}/cmd/{name}"
        for name in (
            *("controller", "webhook", "entrypoint", "nop"),
            *("workingdirinit", "sidecarlogresults", "events"),
        )
    },
    3,
    keep=("config",),
)
KSERVE = Component(
    "kserve",
    "github.com/kserve/kserve",
    {"manager": "github.com/kserve/kserve/cmd/manager"},
    3.5,
    keep=("config",),
)

# Debian's is built without discovery in Kubernetes; the tags leave out that of everything else, and half of the build.
PROMETHEUS = Component(
    "prometheus",
    "github.com/prometheus/prometheus",
    {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
    2,
    tags="remove_all_sd,enable_kubernetes_sd",
    stamps={"github.com/prometheus/common/version.Version": "VERSION"},
)

_ISTIO = "istio.io/istio"
ISTIOD = Component(
    "istiod",
    _ISTIO,
    {name: f"{_ISTIO}/pilot/cmd/{name}" for name in ("pilot-discovery", "pilot-agent")},
    5,
    keep=("tools/packaging/common",),
)

# Their definitions alone, for the contract tests of routes.
ISTIO = Component("istio", "istio.io/api", {}, 0, keep=("kubernetes",))
KNATIVE = Component("knative", "knative.dev/serving", {}, 0, keep=("config/core/300-resources",))

ALL = (PAUSE, ETCD, KUBERNETES, ARGO, COREDNS, ENVOY_GATEWAY, PROMETHEUS, TEKTON, KSERVE, ISTIO, KNATIVE)
MORE = {"istiod": ISTIOD}
"""On request (`make istiod`): no part of the lab, but contract tests of routes start it."""


def missing(components: Sequence[Component] = ALL) -> list[Component]:
    return [component for component in components if not component.complete]


def make_all(components: Sequence[Component] = ALL) -> None:
    """Build what is missing, in this order, then drop what building left behind."""
    for component in missing(components):
        hint = f"about {component.minutes:g} min, once" if component.minutes >= 1 else ""
        with part(f"build {component.name} {component.version}", hint):
            make(component)
    _drop_caches()


def _drop_caches() -> None:
    """In the background: on a disk that discards each block at once, these files take minutes to delete."""
    if BUILD.exists():
        BUILD.rename(CACHE / f".dropped-{os.getpid()}")
    if dropped := [str(path) for path in CACHE.glob(".dropped-*")]:
        # Else whoever reads what `make lab` prints waits for it, too.
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        remove = ["nice", "-n", "19", "rm", "-rf", *dropped]
        os.posix_spawnp("nice", remove, os.environ, file_actions=silent, setsid=True)


def make(component: Component) -> None:
    """Build one component's programs and keep its install manifests. Raises LabError with the compiler's last words."""
    component.folder.mkdir(parents=True, exist_ok=True)
    (component.folder / MARK).unlink(missing_ok=True)
    place = PINS / component.name
    if component.mend is not None:
        place = _mended(component)
    stamps = [f"-X {name}={value.replace('VERSION', component.version)}" for name, value in component.stamps.items()]
    if component.programs:
        _build(component, place, [*LEAN, f"-tags={component.tags}", "-ldflags", " ".join(["-s", "-w", *stamps])])
    for kept in component.keep:
        shutil.rmtree(component.folder / kept, ignore_errors=True)
        shutil.copytree(_module_folder(component) / kept, component.folder / kept)
    (component.folder / MARK).write_text(component.digest, encoding="utf-8")


def _build(component: Component, place: Path, flags: list[str]) -> None:
    """All programs by one call, so that one is linked while another compiles. Go names each after its package."""
    unfinished = component.folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    names = list(component.programs)
    to = f"{unfinished}{os.sep}" if names[1:] else str(unfinished / names[0])
    _go(["go", "build", *flags, "-o", to, *component.programs.values()], place)
    for name in names:
        (unfinished / name).rename(component.folder / name)
    unfinished.rmdir()


def _mended(component: Component) -> Path:
    """A build folder with our pins, and with the module replaced by a mended copy."""
    place = BUILD / component.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(PINS / component.name, place)
    copy = place / "module"
    shutil.copytree(_module_folder(component), copy)
    _go(["chmod", "-R", "u+w", str(copy)], place)
    if component.mend is not None:
        component.mend(copy)
    _go(["go", "mod", "edit", f"-replace={component.module}=./module"], place)
    return place


def _module_folder(component: Component) -> Path:
    told = _go(["go", "list", "-m", "-json", component.module], PINS / component.name)
    folder = json.loads(told).get("Dir")
    if folder is None:
        _go(["go", "mod", "download", component.module], PINS / component.name)
        return _module_folder(component)
    return Path(folder)


def _go(command: list[str], place: Path) -> str:
    settings = {
        "GOMODCACHE": str(BUILD / "modules"),
        "GOCACHE": str(BUILD / "cache"),
        "GOFLAGS": "-modcacherw -mod=readonly",
        "GOTOOLCHAIN": "auto",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOGC": "400",  # the compiler and the linker are short-lived: memory for time
    }
    done = subprocess.run(command, cwd=place, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise LabError(f"`{' '.join(command)}` in {place} failed:\n{last}")
    return done.stdout
