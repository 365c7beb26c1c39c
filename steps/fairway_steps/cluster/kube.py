"""The real cluster, over the official client's transport: its configuration, its authentication, its connections.

Objects stay the JSON they are; the client's models would drop what they do not know. Paths and patch types are those of
https://kubernetes.io/docs/reference/using-api/api-concepts/, server-side apply is
https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from fairway_steps.clock import Clock
from fairway_steps.cluster import FIELD_MANAGER, Manifest, Reference
from fairway_steps.cluster.answers import AGAIN, is_missing_object, pause, refusal, status_of
from fairway_steps.cluster.watching import follow
from fairway_steps.errors import DomainError, FairwayError, TransientError

LOG = logging.getLogger(__name__)
Statuses = list[int]
ATTEMPTS = 4
TIMEOUT = (3.0, 20.0)
"""Seconds to connect, and to answer."""
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
PLURALS: Mapping[tuple[str, str], str] = {
    ("apps", "Deployment"): "deployments",
    ("", "Service"): "services",
    ("", "ConfigMap"): "configmaps",
    ("", "Pod"): "pods",
    ("", "Event"): "events",
    ("discovery.k8s.io", "EndpointSlice"): "endpointslices",
    ("gateway.networking.k8s.io", "HTTPRoute"): "httproutes",
    ("gateway.networking.k8s.io", "GRPCRoute"): "grpcroutes",
    ("gateway.networking.k8s.io", "Gateway"): "gateways",
    ("serving.kserve.io", "InferenceService"): "inferenceservices",
    ("serving.kserve.io", "LLMInferenceService"): "llminferenceservices",
    ("serving.knative.dev", "Service"): "services",
    ("networking.istio.io", "VirtualService"): "virtualservices",
}
"""What needs no discovery: one request less, each time a step starts."""


class KubernetesCluster:
    """The API server of ``configuration``; ``namespace`` is where the caller works."""

    def __init__(self, configuration: Configuration, namespace: str, clock: Clock) -> None:
        configuration.retries = False
        self.namespace, self._clock = namespace, clock
        self._client = ApiClient(configuration)
        self._client.user_agent = FIELD_MANAGER
        self._plurals = dict(PLURALS)

    def get(self, ref: Reference) -> Manifest | None:
        status, body = self._send("GET", "read", ref)
        return None if is_missing_object(status, status_of(body)) else self._object("read", ref, status, body)

    def list(self, ref: Reference, *, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        answer = self._page(ref, labels)
        return [_typed(ref, item) for item in answer["items"]]

    def create(self, ref: Reference, manifest: Manifest) -> Manifest:
        body = _identified(ref, manifest)
        sent: Statuses = []
        status, answer = self._send("POST", "create", ref, query={"fieldManager": FIELD_MANAGER}, body=body, sent=sent)
        if status == 409 and sent[:-1] and (found := self.get(ref)) and _holds(found, manifest):
            return found  # an attempt before was stored, and its answer lost
        return self._object("create", ref, status, answer)

    def apply(self, ref: Reference, owned: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower()} | _dry(dry_run)
        status, body = self._send("PATCH", "apply", ref, query=query, body=_identified(ref, owned), content=APPLY)
        return self._object("apply", ref, status, body)

    def patch(self, ref: Reference, patch: Manifest, *, resource_version: str = "", dry_run: bool = False) -> Manifest:
        if resource_version:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": resource_version}}
        query = {"fieldManager": FIELD_MANAGER} | _dry(dry_run)
        status, body = self._send("PATCH", "change", ref, query=query, body=patch, content=MERGE)
        return self._object("change", ref, status, body)

    def delete(self, ref: Reference, *, dry_run: bool = False) -> bool:
        query = {"propagationPolicy": "Background"} | _dry(dry_run)
        status, body = self._send("DELETE", "delete", ref, query=query)
        if is_missing_object(status, status_of(body)):
            return False
        self._object("delete", ref, status, body)
        return True

    def watch(
        self, ref: Reference, *, labels: Mapping[str, str] | None = None, timeout: float
    ) -> Iterator[tuple[Manifest, ...]]:
        def typed(objects: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
            return tuple(_typed(ref, item) for item in objects)

        yield from map(
            typed,
            follow(
                lambda: self._page(ref, labels),
                lambda since, seconds: self._stream(ref, labels, since, seconds),
                self._clock,
                timeout,
            ),
        )

    def event(self, ref: Reference, reason: str, message: str, *, warning: bool = False) -> None:
        try:
            found = self.get(ref) or {}
            now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            involved = {
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": found.get("metadata", {}).get("uid", ""),
            }
            note = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": f"{ref.name[:200]}.", "namespace": ref.namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message[:1000],
                "type": "Warning" if warning else "Normal",
                "source": {"component": FIELD_MANAGER},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            }
            self._object("note an event on", ref, *self._send("POST", "note", _events(ref), body=note))
        except FairwayError as error:
            LOG.debug("no event on %s: %s", ref, error)

    def close(self) -> None:
        self._client.close()

    def _page(self, ref: Reference, labels: Mapping[str, str] | None) -> dict[str, Any]:
        status, body = self._send("GET", "list", ref, query=_selection(ref, labels), many=True)
        return dict(self._object("list", ref, status, body))

    def _stream(
        self, ref: Reference, labels: Mapping[str, str] | None, since: str, seconds: int
    ) -> Iterator[dict[str, Any]]:
        """The events of one watch request, each a parsed line. An answer that is no stream is one event of type ERROR."""
        query = _selection(ref, labels) | {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        answer = self._open("GET", self._path(ref, many=True), query, None, "", (TIMEOUT[0], seconds + 10.0))
        try:
            if answer.status != 200:
                body = answer.read()
                if answer.status in (403, 404):
                    raise refusal("watch", ref, answer.status, body)
                yield {"type": "ERROR", "object": {**status_of(body), "code": answer.status}}
                return
            yield from _lines(answer)
        finally:
            answer.close()

    def _object(self, verb: str, ref: Reference, status: int, body: bytes) -> Manifest:
        if not 200 <= status < 300:
            raise refusal(verb, ref, status, body)
        try:
            found = json.loads(body)
        except ValueError as error:
            raise TransientError(f"what the API server says of {ref} is not JSON") from error
        return found if isinstance(found, dict) else {}

    def _send(
        self,
        method: str,
        verb: str,
        ref: Reference,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content: str = "application/json",
        many: bool = False,
        path: str = "",
        sent: Statuses | None = None,
    ) -> tuple[int, bytes]:
        """One request, repeated when the server is away or asks for it. Every one of ours may be: none adds up.

        ``sent`` takes the status of each attempt, 0 where there was no answer.
        """
        path = path or self._path(ref, many=many or method == "POST")
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self._open(method, path, dict(query or {}), body, content, TIMEOUT)
                try:
                    status, said, headers = answer.status, answer.read(), answer.headers
                finally:
                    answer.release_conn()
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise TransientError(
                        f"the API server does not answer ({_short(error)}): cannot {verb} {ref}"
                    ) from error
                status, said, headers = 0, b"", urllib3.HTTPHeaderDict()
            if sent is not None:
                sent.append(status)
            if (status and status not in AGAIN) or last:
                return status, said
            LOG.debug("to %s %s was answered with %s: trying again", verb, ref, status or "nothing")
            self._clock.sleep(pause(status, headers, attempt))
        raise AssertionError("unreachable")  # pragma: no cover - the last attempt returns or raises

    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Manifest | None,
        content: str,
        timeout: tuple[float, float],
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json"} | ({"Content-Type": content} if body is not None else {})
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(*request, _request_timeout=timeout)
        except ApiException as error:
            raise DomainError(
                f"the API server at {self._client.configuration.host} is not who it should be: {error.reason}",
                mend="look at certificate-authority in the kubeconfig",
            ) from error
        except (OSError, ssl.SSLError) as error:
            raise urllib3.exceptions.HTTPError(str(error)) from error
        found: urllib3.BaseHTTPResponse = answer.response
        return found

    def _path(self, ref: Reference, *, many: bool) -> str:
        root = f"/apis/{ref.group}/{ref.version}" if ref.group else f"/api/{ref.version}"
        scope = f"/namespaces/{ref.namespace}" if ref.namespace else ""
        collection = f"{root}{scope}/{self._plural(ref, root)}"
        return collection if many else f"{collection}/{ref.name}"

    def _plural(self, ref: Reference, root: str) -> str:
        """The resource of a kind: known, or asked for once."""
        if (known := self._plurals.get((ref.group, ref.kind))) is None:
            served = self._object("discover", ref, *self._send("GET", "discover", ref, path=root))
            names = [r["name"] for r in served.get("resources", []) if r["kind"] == ref.kind and "/" not in r["name"]]
            if not names:
                raise refusal("discover", ref, 404, b"")
            known = self._plurals[ref.group, ref.kind] = str(names[0])
        return known


def _events(ref: Reference) -> Reference:
    return Reference("", "v1", "Event", ref.namespace)


def _identified(ref: Reference, manifest: Manifest) -> dict[str, Any]:
    metadata = {**manifest.get("metadata", {}), "name": ref.name, "namespace": ref.namespace}
    return {**manifest, "apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata}


def _holds(found: Manifest, wanted: Manifest) -> bool:
    """Whether an object holds all that was to be created, its name and labels apart."""
    return all(
        found.get(key) == value for key, value in wanted.items() if key not in ("metadata", "apiVersion", "kind")
    )


def _typed(ref: Reference, item: Manifest) -> Manifest:
    """The items of a list carry no type of their own."""
    return {"apiVersion": ref.api_version, "kind": ref.kind, **item}


def _selection(ref: Reference, labels: Mapping[str, str] | None) -> dict[str, str]:
    wanted = {"labelSelector": ",".join(f"{k}={v}" for k, v in sorted(labels.items()))} if labels else {}
    return wanted | ({"fieldSelector": f"metadata.name={ref.name}"} if ref.name else {})


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in answer.stream(65536, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _short(error: Exception) -> str:
    return type(error).__name__
