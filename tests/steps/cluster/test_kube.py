"""Covers: what the adapter does when the API server is away, overloaded, failing, refusing or speaking nonsense, over a
scripted HTTP server; what it sends (types of patches, the field manager, the token).

Leaves out: what a real API server does with it (tests/contract/test_cluster.py).
"""

import json
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import Configuration

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.cluster.kube import KubernetesCluster
from fairway_steps.errors import Conflict, DomainError, TransientError

REF = Reference.of("httproute", "ns", "iris")
FOUND = {"kind": "HTTPRoute", "metadata": {"name": "iris"}}


def status(code, message, **details):
    return code, {}, {"kind": "Status", "code": code, "message": message, "details": details}


class Server:
    """Answers from a script: (status, headers, body) each; keeps what it was asked."""

    def __init__(self):
        self.script, self.asked = deque(), []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                owner.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
                code, headers, said = owner.script.popleft()
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class's words

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def cluster(server, clock):
    configuration = Configuration()
    configuration.host = server.address
    configuration.api_key["BearerToken"] = "Bearer secret-token"
    made = KubernetesCluster(configuration, "ns", clock)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_a_server_that_asks_for_a_pause_gets_it(server, cluster, clock, name):
    server.script += [(429, {name: "3"}, b"slow down"), (200, {}, FOUND)]
    began = clock.now()
    assert cluster.get(REF) == FOUND
    assert clock.now() - began == 3.0


def test_a_pause_has_a_limit(server, cluster, clock):
    server.script += [(429, {"Retry-After": "3600"}, b""), (200, {}, FOUND)]
    began = clock.now()
    cluster.get(REF)
    assert clock.now() - began == 10.0


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_and_then_transient(server, cluster, code):
    server.script += [status(code, "etcd is busy")] * 3 + [(200, {}, FOUND)]
    assert cluster.patch(REF, {"a": 1}) == FOUND
    server.script += [status(code, "etcd is busy")] * 4
    with pytest.raises(TransientError, match=rf"could not change HTTPRoute ns/iris \({code}\): etcd is busy"):
        cluster.patch(REF, {"a": 1})
    assert len(server.asked) == 8


def test_a_server_that_is_away_is_transient(clock, unused_port):
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{unused_port}"
    cluster = KubernetesCluster(configuration, "ns", clock)
    with pytest.raises(TransientError, match=r"does not answer.*cannot read HTTPRoute ns/iris"):
        cluster.get(REF)
    cluster.close()


def test_the_kinds_of_a_group_are_asked_for_again_while_the_server_is_busy(server, cluster):
    other = Reference("example.com", "v1", "Fern", "ns", "green")
    served = {"resources": [{"name": "ferns", "kind": "Fern"}]}
    server.script += [status(503, "busy"), (200, {}, served), (200, {}, {"kind": "Fern"})]
    assert cluster.get(other) == {"kind": "Fern"}
    assert server.asked[-1][1].startswith("/apis/example.com/v1/namespaces/ns/ferns/green")


def test_a_server_that_is_away_before_the_kinds_are_known_is_transient(clock, unused_port):
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{unused_port}"
    cluster = KubernetesCluster(configuration, "ns", clock)
    with pytest.raises(TransientError, match="does not answer"):
        cluster.get(Reference("example.com", "v1", "Fern", "ns", "green"))
    cluster.close()


def test_what_was_created_though_its_answer_was_lost_is_no_conflict_with_itself(server, cluster):
    mine = {"data": {"a": "1"}}
    ref = Reference.of("configmap", "ns", "x")
    server.script += [status(504, "timeout"), status(409, "already exists"), (200, {}, {"kind": "ConfigMap"} | mine)]
    assert cluster.create(ref, mine)["data"] == {"a": "1"}
    server.script += [status(504, "timeout"), status(409, "already exists"), (200, {}, {"data": {"a": "another's"}})]
    with pytest.raises(Conflict):
        cluster.create(ref, mine)
    server.script += [status(409, "already exists")]
    with pytest.raises(Conflict):
        cluster.create(ref, mine)


def test_a_conflict_is_told_at_once(server, cluster):
    server.script += [status(409, "the object has been modified")]
    with pytest.raises(Conflict, match="HTTPRoute ns/iris was changed by somebody else"):
        cluster.patch(REF, {"a": 1}, resource_version="7")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            status(403, 'cannot patch resource "httproutes"'),
            "refused to change.*cannot patch resource.*give the service",
        ),
        (status(401, "Unauthorized"), "does not know who we are"),
        (status(422, "spec.rules: Invalid"), r"refused to change HTTPRoute ns/iris \(422\): spec.rules: Invalid"),
        (status(404, "not found", name="iris"), "there is no HTTPRoute ns/iris"),
        ((404, {}, b"404 page not found"), "the cluster has no kind HTTPRoute of gateway.networking.k8s.io/v1"),
    ],
)
def test_a_refusal_is_one_sentence_and_not_tried_again(server, cluster, answer, sentence):
    server.script += [answer]
    with pytest.raises(DomainError, match=sentence):
        cluster.patch(REF, {"a": 1})
    assert len(server.asked) == 1


def test_an_answer_that_is_not_json_is_transient(server, cluster):
    server.script += [(200, {}, b"<html>a proxy's page</html>")]
    with pytest.raises(TransientError, match="is not JSON"):
        cluster.get(REF)


def test_an_event_that_cannot_be_noted_is_no_failure(server, cluster):
    server.script += [status(403, "no"), status(403, "no")]
    cluster.event(REF, "Promoted", "all traffic on v2")


def test_every_write_says_what_it_is(server, cluster):
    server.script += [(200, {}, FOUND)] * 4
    cluster.patch(REF, {"spec": {"rules": []}}, resource_version="7", dry_run=True)
    cluster.apply(REF, {"spec": {"a": 1}}, force=True)
    cluster.create(REF, {"spec": {}})
    cluster.delete(REF)
    patch, apply, create, delete = server.asked
    assert all(headers["authorization"] == "Bearer secret-token" for _, _, headers, _ in server.asked)
    assert all(headers["User-Agent"] == "fairway" for _, _, headers, _ in server.asked)
    paths = [(method, urlsplit(path).path) for method, path, _, _ in server.asked]
    root = "/apis/gateway.networking.k8s.io/v1/namespaces/ns/httproutes"
    assert paths == [("PATCH", f"{root}/iris"), ("PATCH", f"{root}/iris"), ("POST", root), ("DELETE", f"{root}/iris")]
    assert patch[2]["Content-Type"] == "application/merge-patch+json"
    assert patch[3] == {"spec": {"rules": []}, "metadata": {"resourceVersion": "7"}}
    assert _query(patch) == {"fieldManager": ["fairway"], "dryRun": ["All"]}
    assert apply[2]["Content-Type"] == "application/apply-patch+yaml"
    assert (_query(apply), apply[3]["kind"]) == ({"fieldManager": ["fairway"], "force": ["true"]}, "HTTPRoute")
    assert create[3]["metadata"] == {"name": "iris", "namespace": "ns"}
    assert _query(delete) == {"propagationPolicy": ["Background"]}


def test_the_token_is_read_anew_for_each_request(server, clock):
    configuration = Configuration()
    configuration.host = server.address
    tokens = iter(["Bearer one", "Bearer two"])
    configuration.refresh_api_key_hook = lambda c: c.api_key.update(BearerToken=next(tokens))
    configuration.api_key["BearerToken"] = "Bearer none"
    cluster = KubernetesCluster(configuration, "ns", clock)
    server.script += [(200, {}, FOUND)] * 2
    cluster.get(REF)
    cluster.get(REF)
    cluster.close()
    assert [headers["authorization"] for _, _, headers, _ in server.asked] == ["Bearer one", "Bearer two"]


def test_a_watch_without_rights_is_told_and_not_repeated(server, cluster):
    server.script += [(200, {}, {"metadata": {"resourceVersion": "1"}, "items": []}), status(403, "cannot watch")]
    watch = cluster.watch(REF, timeout=60)
    assert next(watch) == ()
    with pytest.raises(DomainError, match=r"refused to watch.*cannot watch"):
        next(watch)


def _query(asked):
    return parse_qs(urlsplit(asked[1]).query)
