"""The cluster's certificates and kubeconfigs: one authority for all, one for the front proxy, made anew each time."""

import base64
import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.places import API, API_SERVICE, CLUSTER_DOMAIN, KUBECONFIG, NODE, NODE_ADDRESS, STATE

PKI = STATE / "pki"
CLIENTS = {
    "admin": ("fairway-lab", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "apiserver-kubelet": ("kube-apiserver", "system:masters"),
}
"""Certificates by which parts speak to each other: (user, group)."""
_LIFE = dt.timedelta(days=30)


class Authority:
    """Issues certificates, and writes them as NAME.crt and NAME.key. Keys are of elliptic curve P-256."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        certificate = (
            _draft(self.name, self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(folder / f"{name}.crt", self.pem)
        _write_key(folder / f"{name}.key", self.key)

    def issue(self, file: str, user: str, group: str = "", hosts: Iterable[str] = ()) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        draft = (
            _draft(_name(user, group), self.name, key, self.key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
        )
        if names := [_host(host) for host in hosts]:
            draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = draft.sign(self.key, hashes.SHA256())
        _write(self.folder / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(self.folder / f"{file}.key", key)


def make() -> None:
    """Everything the control plane and the node need, in ``PKI``, and the kubeconfigs."""
    PKI.mkdir(parents=True, mode=0o700)
    authority = Authority("ca", PKI)
    for file, (user, group) in CLIENTS.items():
        authority.issue(file, user, group)
        target = KUBECONFIG if file == "admin" else STATE / f"{file}.kubeconfig"
        _write(target, kubeconfig(PKI / "ca.crt", PKI / f"{file}.crt", PKI / f"{file}.key").encode())
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
    authority.issue(
        "apiserver", "kube-apiserver", hosts=(*service, "localhost", "127.0.0.1", NODE_ADDRESS, API_SERVICE)
    )
    authority.issue("kubelet-server", NODE, hosts=(NODE, NODE_ADDRESS))
    Authority("front-proxy-ca", PKI).issue("front-proxy", "front-proxy")
    account = ec.generate_private_key(ec.SECP256R1())
    _write_key(PKI / "service-accounts.key", account)


def serving(folder: Path, hosts: Iterable[str]) -> bytes:
    """An authority and a server certificate of its own, for a webhook: ca.crt, tls.crt and tls.key; returns the former."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority("ca", folder)
    names = list(hosts)
    authority.issue("tls", names[0], hosts=names)
    return authority.pem


def kubeconfig(authority: Path, certificate: Path, key: Path) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": API, "certificate-authority-data": _data(authority)}}],
            "users": [
                {"name": "lab", "user": {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}}
            ],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        }
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _name(user: str, group: str = "") -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((signer or key).public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write(
        path,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    )
