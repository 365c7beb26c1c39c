"""A cluster in memory: the fast copy of an API server, held to the same contract (tests/contract/test_cluster.py).

It keeps what steps rely on: resource versions and conflicts, generations, merge patches, server-side apply with field
owners (lists are owned whole), finalizers, watches that wake at each change. ``fail`` makes the next calls fail.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fairway_steps.cluster import FIELD_MANAGER, Manifest, Reference
from fairway_steps.errors import Conflict, DomainError, FairwayError

Path = tuple[str, ...]


class FakeCluster:
    """All objects by reference. ``on_write`` is called before each write, to do what somebody else does in between."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = namespace
        self.objects: dict[Reference, dict[str, Any]] = {}
        self.events: list[tuple[Reference, str, str, bool]] = []
        self.calls: list[tuple[str, Reference]] = []
        self.fail: dict[str, list[FairwayError]] = {}
        self.on_write: Callable[[Reference], None] = lambda ref: None
        self.after_write: Callable[[Reference], None] = lambda ref: None
        self._owners: dict[Reference, dict[Path, str]] = {}
        self._changed = threading.Condition()
        self._revision = 0

    def get(self, ref: Reference) -> Manifest | None:
        self._called("get", ref)
        with self._changed:
            return copy.deepcopy(self.objects.get(ref))

    def list(self, ref: Reference, *, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        self._called("list", ref)
        return list(self._matching(ref, labels))

    def create(self, ref: Reference, manifest: Manifest) -> Manifest:
        self._called("create", ref)
        self.on_write(ref)
        with self._changed:
            if ref in self.objects:
                raise Conflict(f"{ref} exists already")
            stored = self._store(ref, copy.deepcopy(dict(manifest)), None)
        self.after_write(ref)
        return stored

    def apply(self, ref: Reference, owned: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        self._called("apply", ref)
        self.on_write(ref)
        with self._changed:
            before, owners = self.objects.get(ref), self._owners.setdefault(ref, {})
            after, ours = copy.deepcopy(before or {}), dict(_leaves(owned))
            for path, value in ours.items():
                holder = owners.get(path, FIELD_MANAGER)
                if holder != FIELD_MANAGER and _at(after, path) != value and not force:
                    raise Conflict(f"{'.'.join(path)} of {ref} belongs to {holder}")
            for path in [p for p, holder in owners.items() if holder == FIELD_MANAGER and p not in ours]:
                _drop(after, path)
                if not dry_run:
                    del owners[path]
            for path, value in ours.items():
                _put(after, path, copy.deepcopy(value))
                if not dry_run:
                    owners[path] = FIELD_MANAGER
            stored = self._store(ref, after, before, dry_run=dry_run)
        self.after_write(ref)
        return stored

    def patch(self, ref: Reference, patch: Manifest, *, resource_version: str = "", dry_run: bool = False) -> Manifest:
        self._called("patch", ref)
        self.on_write(ref)
        with self._changed:
            before = self.objects.get(ref)
            if before is None:
                raise DomainError(f"there is no {ref}")
            if resource_version and resource_version != before["metadata"]["resourceVersion"]:
                raise Conflict(f"{ref} was changed by somebody else just now")
            stored = self._store(ref, merged(before, patch), before, dry_run=dry_run)
        self.after_write(ref)
        return stored

    def delete(self, ref: Reference, *, dry_run: bool = False) -> bool:
        self._called("delete", ref)
        self.on_write(ref)
        with self._changed:
            found = self.objects.get(ref)
            if found is None:
                return False
            if dry_run:
                return True
            if found["metadata"].get("finalizers"):
                self._store(ref, merged(found, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), found)
            else:
                del self.objects[ref]
            self._changed.notify_all()
        self.after_write(ref)
        return True

    def watch(
        self, ref: Reference, *, labels: Mapping[str, str] | None = None, timeout: float
    ) -> Iterator[tuple[Manifest, ...]]:
        self._called("watch", ref)
        seen: tuple[Manifest, ...] | None = None
        left = threading.Event()
        timer = threading.Timer(timeout, lambda: (left.set(), self.wake()))
        timer.daemon = True
        timer.start()
        try:
            while not left.is_set():
                with self._changed:
                    self._changed.wait_for(lambda seen=seen: left.is_set() or self._matching(ref, labels) != seen)
                    now = self._matching(ref, labels)
                if now != seen:
                    seen = now
                    yield now
        finally:
            timer.cancel()

    def event(self, ref: Reference, reason: str, message: str, *, warning: bool = False) -> None:
        self.events.append((ref, reason, message, warning))

    # What tests do to it.

    def put(self, ref: Reference, manifest: Manifest) -> None:
        """Make or replace an object, as somebody else."""
        with self._changed:
            self._store(ref, copy.deepcopy(dict(manifest)), self.objects.get(ref))
            self._owners[ref] = dict.fromkeys((path for path, _ in _leaves(manifest)), "somebody")

    def edit(self, ref: Reference, patch: Manifest) -> None:
        """Change an object as somebody else."""
        with self._changed:
            before = self.objects[ref]
            self._store(ref, merged(before, patch), before)
            self._owners.setdefault(ref, {}).update(dict.fromkeys((path for path, _ in _leaves(patch)), "somebody"))

    def remove(self, ref: Reference) -> None:
        with self._changed:
            self.objects.pop(ref, None)
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _store(
        self, ref: Reference, after: dict[str, Any], before: Manifest | None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        self._revision += 1
        metadata = dict(after.get("metadata", {})) | {"name": ref.name, "namespace": ref.namespace}
        old = (before or {}).get("metadata", {})
        changed = before is None or before.get("spec") != after.get("spec")
        metadata["generation"] = old.get("generation", 0) + int(changed)
        metadata["uid"] = old.get("uid", f"uid-{self._revision}")
        metadata["resourceVersion"] = str(self._revision)
        stored = {**after, "apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata}
        stored = json.loads(json.dumps(stored, sort_keys=True))  # as Go writes its maps
        if (
            before is not None
            and stored | {"metadata": metadata | {"resourceVersion": old["resourceVersion"]}} == before
        ):
            return copy.deepcopy(dict(before))
        if not dry_run:
            gone = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
            if gone:
                self.objects.pop(ref, None)
            else:
                self.objects[ref] = stored
            self._changed.notify_all()
        return copy.deepcopy(stored)

    def _matching(self, ref: Reference, labels: Mapping[str, str] | None) -> tuple[Manifest, ...]:
        with self._changed:
            return tuple(
                copy.deepcopy(found)
                for at, found in sorted(self.objects.items(), key=lambda item: item[0].name)
                if (at.group, at.kind, at.namespace) == (ref.group, ref.kind, ref.namespace)
                and ref.name in ("", at.name)
                and (labels or {}).items() <= found["metadata"].get("labels", {}).items()
            )

    def _called(self, verb: str, ref: Reference) -> None:
        self.calls.append((verb, ref))
        if self.fail.get(verb):
            raise self.fail[verb].pop(0)


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), item)
    return result


def _leaves(value: Manifest, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, (*prefix, key))
        else:
            yield (*prefix, key), item


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _put(value: dict[str, Any], path: Path, item: Any) -> None:
    for key in path[:-1]:
        value = value.setdefault(key, {})
    value[path[-1]] = item


def _drop(value: dict[str, Any], path: Path) -> None:
    for key in path[:-1]:
        value = value.get(key, {})
    value.pop(path[-1], None)
