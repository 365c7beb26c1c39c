"""A record in a ConfigMap: compare-and-swap on its resource version, so nobody's change is lost.

The record is JSON, compressed: with the counts of many stages it would not fit into the 1 MiB of a ConfigMap. Beside it
stands in plain text what people look for with kubectl. ``fairway report`` prints the rest.
"""

import base64
import gzip
import json
import uuid
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.codec import decode, encode
from fairway_steps.errors import Conflict, DomainError, TransientError, UsageError
from fairway_steps.record import FORMAT, Record, written

WRITE = "fairway/write"
"""The annotation that tells one write from another of the same content."""
KEY = "record.json.gz"
WAY_BACK = "way-back"
NEEDED_BACK = (
    "service",
    "route",
    "primary",
    "candidate",
    "rivals",
    "stages",
    "promotion",
    "holder",
    "token",
    "outcome",
)
"""What stands beside the record under ``WAY_BACK``, for the day on which the record cannot be read."""
ATTEMPTS = 50
LARGEST = 900_000
"""Bytes of base64 that a ConfigMap of 1 MiB surely takes."""
LABEL = 63


class ConfigMapStore:
    """The record in the ConfigMap ``ref``. Takes the rights get, create and patch of that ConfigMap."""

    def __init__(self, ref: Reference, cluster: Cluster) -> None:
        self.ref, self.cluster = ref, cluster
        self.uri = f"configmap/{ref.namespace}/{ref.name}"

    def load(self) -> Record | None:
        found = self.cluster.get(self.ref)
        return None if found is None else self._decoded(found)

    def remains(self) -> str:
        return str(((self.cluster.get(self.ref) or {}).get("data") or {}).get(WAY_BACK, ""))

    def update(self, change: Callable[[Record | None], Record]) -> Record:
        mark = uuid.uuid4().hex
        for _ in range(ATTEMPTS):
            found = self.cluster.get(self.ref)
            before = None if found is None else self._decoded(found)
            if found and before and found["metadata"].get("annotations", {}).get(WRITE) == mark:
                return before  # our own write came through, only its answer was lost
            record = change(before)
            written = self._encoded(record, mark)
            try:
                if found is None:
                    self.cluster.create(self.ref, written)
                else:
                    self.cluster.patch(self.ref, written, resource_version=found["metadata"]["resourceVersion"])
            except Conflict:
                continue
            return record
        raise TransientError(f"record {self.uri} is written by others all the time")

    def _decoded(self, found: Manifest) -> Record:
        try:
            data = json.loads(gzip.decompress(base64.b64decode((found.get("binaryData") or {})[KEY])))
            if data.get("format") != FORMAT:
                raise ValueError(f"its format is {data.get('format')!r}, this Fairway writes {FORMAT}")
            return decode(Record, data)
        except (ValueError, OSError, EOFError, LookupError, AttributeError, RecursionError, zlib.error) as error:
            raise UsageError(
                f"{self.ref} is not a Fairway record: {error}", mend="name another ConfigMap, or delete this one"
            ) from error

    def _encoded(self, record: Record, mark: str) -> dict[str, Any]:
        text = json.dumps(encode(record), ensure_ascii=False).encode()
        packed = base64.b64encode(gzip.compress(text, mtime=0)).decode()
        if len(packed) > LARGEST:
            raise DomainError(f"the record of {record.release_id} is too large for a ConfigMap ({len(packed)} bytes)")
        metadata = {"labels": _labels(record), "annotations": {WRITE: mark}}
        return {"metadata": metadata, "binaryData": {KEY: packed}, "data": _told(record)}


def _labels(record: Record) -> Mapping[str, str]:
    return {
        "app.kubernetes.io/name": "fairway-record",
        "app.kubernetes.io/instance": record.service[:LABEL].rstrip("-."),
        "app.kubernetes.io/part-of": "fairway",
        "app.kubernetes.io/managed-by": "fairway",
    }


def _told(record: Record) -> Mapping[str, str]:
    last = record.timeline[-1].asked if record.timeline else {record.primary.name: 100}
    return {
        "release": record.release_id,
        "route": record.route,
        "primary": record.primary.uri,
        "candidate": ",".join(version.uri for version in record.candidates),
        "stage": str(record.stage),
        "weights": json.dumps(dict(last)),
        "outcome": str(record.outcome or "running"),
        "reason": record.reason,
        "holder": record.holder,
        WAY_BACK: written({name: value for name, value in encode(record).items() if name in NEEDED_BACK}),
        "lease-until": f"{datetime.fromtimestamp(record.lease_until, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
