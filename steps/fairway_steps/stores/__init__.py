"""Where records are kept: a file on one machine, a ConfigMap in a cluster."""

from collections.abc import Callable
from pathlib import Path

from fairway_steps.cluster import Cluster, Reference
from fairway_steps.errors import UsageError
from fairway_steps.record import FileStore, RecordStore

__all__ = ["open_store", "usual"]


def open_store(uri: str, cluster: Callable[[], Cluster] | None = None) -> RecordStore:
    """The store a record URI names: ``file:PATH`` or ``configmap/NAMESPACE/NAME``.

    ``cluster`` is called only for what lies in one. Raises UsageError for a URI of no known kind.
    """
    scheme, colon, path = uri.partition(":")
    if scheme == "file" and path:
        return FileStore(Path(path).absolute())
    if not colon and uri.startswith("configmap/"):
        if uri.count("/") != 2 or not all(uri.split("/")):
            raise UsageError(f"record {uri!r} names no ConfigMap", mend="write configmap/NAMESPACE/NAME")
        if cluster is None:
            raise UsageError(
                f"record {uri} lies in a cluster, and this command works on one machine", mend="write file:PATH"
            )
        from fairway_steps.stores.configmap import ConfigMapStore  # noqa: PLC0415 - only for a cluster

        return ConfigMapStore(Reference.parse(uri), cluster())
    raise UsageError(
        f"record {uri!r} is not a reference Fairway knows", mend="write file:PATH or configmap/NAMESPACE/NAME"
    )


def usual(namespace: str, service: str) -> str:
    """Where a service's record lies in a cluster unless somebody says otherwise."""
    return f"configmap/{namespace}/fairway-{service}"
