"""Covers: which cluster is chosen, that the pod's own token is really sent over verified TLS, and how missing or broken
configurations are told.

Leaves out: requests (test_kube.py) and real clusters (tests/contract/test_cluster.py).
"""

import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from certificates import issue
from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.cluster.connect import connect, own_namespace
from fairway_steps.errors import DomainError, UsageError

REF = Reference.of("configmap", "team", "x")


@pytest.fixture
def account(tmp_path):
    """A service account's folder as the kubelet mounts it."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("the-pods-token")
    (folder / "namespace").write_text("team\n")
    return folder


@pytest.fixture
def server(account):
    certificate, key = issue(account.parent, "127.0.0.1")
    (account / "ca.crt").write_bytes(certificate.read_bytes())
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            body = json.dumps({"kind": "ConfigMap"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield http.server_address[1], seen
    http.shutdown()
    http.server_close()
    thread.join()


def pod(port):
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}


def test_in_a_pod_its_token_is_sent(account, server):
    port, seen = server
    cluster = connect(pod(port), FakeClock(), account=account)
    assert cluster.namespace == "team"
    cluster.get(REF)
    (account / "token").write_text("renewed")
    cluster.get(REF)
    cluster.close()
    assert seen[0].lower() == "bearer the-pods-token"
    assert len(seen) == 2


def test_a_server_that_is_not_ours_gets_no_token(account, server, tmp_path):
    port, seen = server
    other, _ = issue(tmp_path, "127.0.0.1", name="other")
    (account / "ca.crt").write_bytes(other.read_bytes())
    cluster = connect(pod(port), FakeClock(), account=account)
    with pytest.raises(DomainError, match="is not who it should be"):
        cluster.get(REF)
    cluster.close()
    assert seen == []


def test_the_namespace_is_known_without_the_client(account):
    assert own_namespace(pod(1), account=account) == "team"
    assert own_namespace({}, account=account) == ""
    (account / "namespace").unlink()
    assert own_namespace(pod(1), account=account) == "default"


@pytest.mark.parametrize(
    "text", [None, "", "{}", "not: [yaml", "apiVersion: v1\nkind: Config\ncurrent-context: gone\n"]
)
def test_a_kubeconfig_that_is_none_is_one_sentence(tmp_path, text):
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="there is no cluster to work on") as raised:
        connect({"KUBECONFIG": str(path)}, FakeClock())
    assert "set KUBECONFIG" in str(raised.value)
    with pytest.raises(UsageError, match="there is no cluster to work on"):
        connect({"HOME": str(tmp_path / "nobody")}, FakeClock())


def test_a_broken_service_account_is_one_sentence(account):
    (account / "ca.crt").write_text("")
    with pytest.raises(UsageError, match="service account cannot be used"):
        connect(pod(1), FakeClock(), account=account)


def test_kubeconfig_goes_before_the_pod(account, tmp_path):
    with pytest.raises(UsageError, match=str(tmp_path / "mine")):
        connect(pod(1) | {"KUBECONFIG": str(tmp_path / "mine")}, FakeClock(), account=account)
