"""Versions as Envoy's clusters and endpoints: their names, their addresses, TLS, and that Envoy takes them all.

Left out: traffic over them (tests/contract/test_router.py).
"""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.envoy_admin import stat_name
from fairway_steps.errors import UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Version
from fairway_steps.routing import backends
from fairway_steps.routing.folder import trusted_roots
from fairway_steps.routing.process import find_envoy

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,4}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES, NAMES, NAMES)
def test_names_of_files_and_statistics_are_never_shared(service, version, other_service, other_version):
    here, there = (service, version), (other_service, other_version)
    for name in (backends.endpoint_file, backends.cluster_name, stat_name, backends.mirror_name):
        assert (name(*here) == name(*there)) == (here == there)


def test_a_collector_is_spoken_to_in_http_1_whatever_clients_speak():
    versions = {name: Version(name, f"http://127.0.0.1:{port}") for port, name in ((1, "v1"), (2, "collector"))}
    mirrored, split = Routes({"v1": 100}, mirror=Mirror("collector", 50)), Routes({"v1": 50, "collector": 50})

    def protocols(routes):
        made = {c["name"]: c for c in backends.clusters("iris", routes, versions, "v1", "folder", "")}
        (options,) = made["iris/collector"]["typed_extension_protocol_options"].values()
        return {name for name in options if name.endswith("_config")}

    assert protocols(mirrored) == {"explicit_http_config"}
    assert protocols(split) == {"use_downstream_protocol_config"}, "a version that happens to be called so"


@given(NAMES, NAMES, NAMES)
def test_a_cluster_names_its_version(service, version, fallback):
    for name in (
        backends.cluster_name(service, version),
        backends.arm_name(service, version, fallback),
        backends.mirror_name(service, version),
    ):
        assert backends.version_of(name) == version
        assert backends.owns(service, name)
        assert backends.is_version(name) == (name == backends.cluster_name(service, version))
    assert not backends.owns(service, f"{service}-2/{version}")


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("http://127.0.0.1:8001", "127.0.0.1", 8001),
        ("http://127.0.0.1:8001/", "127.0.0.1", 8001),
        ("http://[::1]:80", "::1", 80),
        ("http://iris", "iris", 80),
        ("https://iris.example", "iris.example", 443),
    ],
)
def test_addresses(uri, host, port):
    assert backends.address(Version("v1", uri))[1:] == (host, port)


@pytest.mark.parametrize(
    "uri",
    ["deployment/ns/iris", "http://", "http://h:99999", "http://h:x", "grpc://h:1", "http://h/v2", "http://h?a", ""],
)
def test_what_is_no_address_is_refused_with_the_versions_name(uri):
    with pytest.raises(UsageError, match="version v1="):
        backends.address(Version("v1", uri))


def test_an_ip_has_endpoints_of_its_own_and_a_host_name_is_envoys_to_resolve():
    endpoints = backends.endpoints("iris", Version("v1", "http://127.0.0.1:8001"))
    assert endpoints is not None
    assert endpoints["cluster_name"] == "iris/v1"
    (host,) = endpoints["endpoints"][0]["lb_endpoints"]
    assert host["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8001}
    assert host["metadata"] == {"filter_metadata": {"fairway": {"version": "v1"}}}
    assert backends.endpoints("iris", Version("v1", "http://iris:8001")) is None


def made(routes: Routes, **uris: str):
    versions = {name: Version(name, uri) for name, uri in uris.items()}
    clusters = backends.clusters("iris", routes, versions, "v1", "/xds/endpoints", trusted_roots())
    return {cluster["name"]: cluster for cluster in clusters}


def test_each_route_gets_exactly_the_clusters_it_needs():
    there = {"v1": "http://127.0.0.1:1", "v2": "http://127.0.0.1:2", "v3": "http://127.0.0.1:3"}
    assert list(made(Routes({"v1": 100}), **there)) == ["iris/v1"]
    assert list(made(Routes({"v1": 90, "v2": 10}), **there)) == ["iris/v1", "iris/v2", "iris/v2+v1"]
    assert list(made(Routes({"v1": 100}, mirror=Mirror("v2", 1)), **there)) == ["iris/v1", "iris/v2", "iris/v2@mirror"]
    assert list(made(Routes({"v1": 100}, (HeaderMatch("a", "b", "v3"),)), **there)) == [
        "iris/v1",
        "iris/v3",
        "iris/v3+v1",
    ]


def test_an_arm_tries_its_version_first_and_counts_under_its_name():
    arm = made(Routes({"v1": 90, "v2": 10}), v1="http://127.0.0.1:1", v2="http://127.0.0.1:2")["iris/v2+v1"]
    assert arm["cluster_type"]["typed_config"]["clusters"] == ["iris/v2", "iris/v1"]
    assert arm["alt_stat_name"] == "iris/v2"


def test_https_is_verified_against_the_host_it_names():
    name = made(Routes({"v1": 100}), v1="https://iris.example")["iris/v1"]["transport_socket"]["typed_config"]
    assert name["sni"] == "iris.example"
    (san,) = name["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert san == {"san_type": "DNS", "matcher": {"exact": "iris.example"}}
    address = made(Routes({"v1": 100}), v1="https://10.0.0.1")["iris/v1"]["transport_socket"]["typed_config"]
    assert "sni" not in address
    assert "transport_socket" not in made(Routes({"v1": 100}), v1="http://10.0.0.1")["iris/v1"]


@pytest.mark.local
def test_envoy_takes_every_kind_of_cluster(tmp_path):
    uris = {"v1": "http://iris:80", "v2": "https://iris.example", "v3": "http://127.0.0.1:3", "v4": "https://10.0.0.1"}
    routes = Routes({"v1": 50, "v2": 20, "v3": 20, "v4": 10}, mirror=Mirror("v2", 1))
    clusters = made(routes, **uris).values()
    bootstrap = {"node": {"id": "a", "cluster": "b"}, "static_resources": {"clusters": list(clusters)}}
    for cluster in bootstrap["static_resources"]["clusters"]:
        cluster.pop("@type")
    at = tmp_path / "endpoints"
    at.mkdir()
    for name, uri in uris.items():
        resource = backends.endpoints("iris", Version(name, uri))
        response = {"version_info": "1", "resources": [resource]}
        (at / backends.endpoint_file("iris", name)).write_text(json.dumps(response))
    path = tmp_path / "bootstrap.json"
    path.write_text(json.dumps(bootstrap).replace("/xds/endpoints", str(at)))
    command = [find_envoy(), "--mode", "validate", "-c", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
