"""Which messages a gRPC method takes: from a descriptor set, from server reflection, or built in for Open Inference V2.

A schema is a serialised ``FileDescriptorSet`` with everything it imports (``google/protobuf/descriptor.proto``), so that it
can be kept as a value. Reflection is https://github.com/grpc/grpc/blob/master/doc/server-reflection.md; its versions v1 and
v1alpha differ in their name alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError

from fairway_steps.errors import UsageError

DESCRIPTORS = "give --descriptors FILE"
Ask = Callable[[str, str], list[bytes]]
"""Asks a server for files: by ``file_containing_symbol`` or ``file_by_filename``. Raises LookupError if it has none."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method by its full name ``package.Service/Method``, and the schema of its messages."""

    name: str
    schema: bytes = field(repr=False)
    many_in: bool = False
    many_out: bool = False

    def input(self) -> tuple[Descriptor, descriptor_pool.DescriptorPool]:
        """The message the method takes, and the pool it lives in."""
        pool = _pool(descriptor_pb2.FileDescriptorSet.FromString(self.schema))
        return _method(pool, self.name).input_type, pool


def from_file(path: Path, name: str) -> Method:
    """The method ``name`` of a descriptor set. Raises UsageError."""
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    except OSError as error:
        raise UsageError(f"descriptor set {path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise UsageError(
            f"{path} is no descriptor set", mend="write one with protoc --include_imports --descriptor_set_out=FILE"
        ) from error
    return of_set(files, name, where=str(path))


def of_set(files: descriptor_pb2.FileDescriptorSet, name: str, *, where: str) -> Method:
    """The method ``name`` of ``files``; ``where`` they are from, for sentences. Raises UsageError."""
    try:
        pool = _pool(files)
    except (TypeError, KeyError) as error:
        raise UsageError(
            f"the descriptors of {where} are not complete: {error}", mend="compile them with --include_imports"
        ) from error
    try:
        found = _method(pool, name)
    except KeyError as error:
        services = {f"{file.package}.{s.name}".lstrip("."): s for file in files.file for s in file.service}
        raise UsageError(f"{where} has no method {name}: {_known(services, name)}") from error
    return Method(name, files.SerializeToString(), bool(found.client_streaming), bool(found.server_streaming))


def reflected(ask: Ask, name: str, *, where: str) -> Method:
    """The method ``name`` as a server describes it. Raises UsageError if it does not know it."""
    service = name.partition("/")[0]
    try:
        files = _with_imports(ask, service, where)
    except LookupError as error:
        raise UsageError(f"{where} has no service {service}: {error}") from error
    except DecodeError as error:
        raise UsageError(f"{where} describes itself by bytes that are no descriptor", mend=DESCRIPTORS) from error
    return of_set(descriptor_pb2.FileDescriptorSet(file=list(files)), name, where=where)


def _with_imports(ask: Ask, service: str, where: str) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def take(blobs: list[bytes]) -> None:
        for blob in blobs:
            file = descriptor_pb2.FileDescriptorProto.FromString(blob)
            found.setdefault(file.name, file)

    take(ask("file_containing_symbol", service))
    while missing := {name for file in found.values() for name in file.dependency} - set(found):
        for name in sorted(missing):
            known = _well_known(name)
            try:
                take([known] if known else ask("file_by_filename", name))
                found[name]  # some servers register a file by another path than the one it is imported by
            except LookupError as error:
                raise UsageError(
                    f"{where} does not describe {name}, which its files import", mend=DESCRIPTORS
                ) from error
    return iter(found.values())


def _pool(files: descriptor_pb2.FileDescriptorSet) -> descriptor_pool.DescriptorPool:
    """A pool of the files, each after those it imports. Raises TypeError or KeyError where one is missing or wrong."""
    pool = descriptor_pool.DescriptorPool()
    left = {file.name: file for file in files.file}

    def add(name: str) -> None:
        file = left.pop(name, None)
        if file is None:
            return
        for dependency in file.dependency:
            add(dependency)
            if dependency not in left and (known := _well_known(dependency)) and not _has(pool, dependency):
                pool.AddSerializedFile(known)
        pool.AddSerializedFile(file.SerializeToString())

    for name in [file.name for file in files.file]:
        add(name)
    return pool


def _has(pool: Any, name: str) -> bool:
    try:
        pool.FindFileByName(name)
    except KeyError:
        return False
    return True


def _well_known(name: str) -> bytes | None:
    """The files of protobuf itself, which neither compilers nor servers always hand out."""
    if not name.startswith("google/protobuf/"):
        return None
    import google.protobuf.any_pb2  # noqa: PLC0415 - these register themselves
    import google.protobuf.duration_pb2  # noqa: PLC0415
    import google.protobuf.empty_pb2  # noqa: PLC0415
    import google.protobuf.field_mask_pb2  # noqa: PLC0415
    import google.protobuf.struct_pb2  # noqa: PLC0415
    import google.protobuf.timestamp_pb2  # noqa: PLC0415
    import google.protobuf.wrappers_pb2  # noqa: F401, PLC0415

    try:
        return bytes(descriptor_pool.Default().FindFileByName(name).serialized_pb)
    except KeyError:
        return None


def _method(pool: Any, name: str) -> MethodDescriptor:
    service, _, method = name.partition("/")
    found: MethodDescriptor = pool.FindServiceByName(service).methods_by_name[method]
    return found


def _known(services: Mapping[str, descriptor_pb2.ServiceDescriptorProto], name: str) -> str:
    service = services.get(name.partition("/")[0])
    if service is not None:
        return f"{service.name} has {', '.join(method.name for method in service.method)}"
    return f"it has {', '.join(sorted(services))}" if services else "it has no service at all"
