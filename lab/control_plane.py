"""etcd and Kubernetes' control plane, as processes. etcd's data lies in memory: the lab does not outlive the machine."""

import json
import subprocess
from pathlib import Path

from lab.binaries import ETCD, KUBERNETES
from lab.certificates import PKI
from lab.places import AUDIT, NODE_ADDRESS, POD_NETWORK, RELEASES, SERVICE_NETWORK, STATE
from lab.processes import await_, inside, start

DATA = Path("/dev/shm/fairway-lab-etcd")  # noqa: S108 - memory on purpose; root's, and removed by `make lab-down`
ETCD_URL = "http://127.0.0.1:2379"
_AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{RELEASES}"]}, {"level": "None"}],
}
"""Who of the releases' accounts asked for what: one line a request, when it has ended."""


def begin() -> None:
    """Start all of it; only etcd and the API server are waited for, the controllers wait for those themselves."""
    _etcd()
    _api_server()
    _controllers()


def _etcd() -> None:
    DATA.mkdir(mode=0o700)
    start(
        "etcd",
        [
            *(str(ETCD.program("etcd")), "--name=lab", f"--data-dir={DATA}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={ETCD_URL}", f"--advertise-client-urls={ETCD_URL}"),
            *("--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380"),
            *("--initial-cluster=lab=http://127.0.0.1:2380", "--quota-backend-bytes=2147483648", "--log-level=warn"),
        ],
    )
    await_("etcd", lambda: _answers(f"{ETCD_URL}/readyz"))


def _api_server() -> None:
    policy = STATE / "audit.json"
    policy.write_text(json.dumps(_AUDITED), encoding="utf-8")
    start(
        "kube-apiserver",
        [
            *(str(KUBERNETES.program("kube-apiserver")), f"--etcd-servers={ETCD_URL}", "--secure-port=6443"),
            *(f"--advertise-address={NODE_ADDRESS}", f"--service-cluster-ip-range={SERVICE_NETWORK}"),
            *(
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
            ),
            *(f"--client-ca-file={PKI}/ca.crt", f"--tls-cert-file={PKI}/apiserver.crt"),
            *(f"--tls-private-key-file={PKI}/apiserver.key", f"--kubelet-certificate-authority={PKI}/ca.crt"),
            f"--kubelet-client-certificate={PKI}/apiserver-kubelet.crt",
            f"--kubelet-client-key={PKI}/apiserver-kubelet.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={PKI}/service-accounts.key",
            f"--service-account-signing-key-file={PKI}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy"),
            *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
            *(
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={PKI}/front-proxy.crt",
            ),
            *(f"--proxy-client-key-file={PKI}/front-proxy.key", "--profiling=false"),
            *(f"--audit-policy-file={policy}", f"--audit-log-path={AUDIT}", "--audit-log-maxsize=50"),
            "--audit-log-maxbackup=1",
        ],
    )
    await_("kube-apiserver", lambda: _answers(f"https://{NODE_ADDRESS}:6443/readyz"))


def _controllers() -> None:
    for name, more in (
        (
            "kube-controller-manager",
            [
                *(f"--root-ca-file={PKI}/ca.crt", f"--service-account-private-key-file={PKI}/service-accounts.key"),
                *("--use-service-account-credentials=true", "--allocate-node-cidrs=true"),
                *(f"--cluster-cidr={POD_NETWORK}", f"--service-cluster-ip-range={SERVICE_NETWORK}"),
                f"--flex-volume-plugin-dir={STATE}/volume-plugins",
                *(f"--cluster-signing-cert-file={PKI}/ca.crt", f"--cluster-signing-key-file={PKI}/ca.key"),
            ],
        ),
        ("kube-scheduler", []),
    ):
        config = STATE / f"{name}.kubeconfig"
        start(
            name,
            [
                *(str(KUBERNETES.program(name)), f"--kubeconfig={config}", "--bind-address=127.0.0.1"),
                *(f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}"),
                *("--leader-elect=false", *more),
            ],
        )


def _answers(url: str) -> bool:
    asked = ["curl", "--silent", "--fail", "--max-time", "2", "--output", "/dev/null", url]
    if url.startswith("https:"):
        keys = ["--cert", f"{PKI}/admin.crt", "--key", f"{PKI}/admin.key"]
        asked[1:1] = ["--cacert", f"{PKI}/ca.crt", *keys]
    return subprocess.run(inside(*asked), check=False, capture_output=True).returncode == 0
