"""TLS with authorities, client certificates and server names, over real sockets; files that cannot be used; servers that speak another protocol.

Left out: gRPC's TLS (test_grpc.py); the plain cases (test_http.py).
"""

import asyncio
import datetime as dt
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairway_steps.clock import FakeClock
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.loops import fastest
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.tls import Tls
from raw_server import OK, always, listening, serving


@dataclass
class Authority:
    """A certificate authority whose certificates are files: ``ca.pem``, ``NAME.pem``, ``NAME.key``."""

    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self.ca = self._write("ca", self.key, self.name, x509.BasicConstraints(ca=True, path_length=None))

    def issue(self, name: str) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return self._write(name, key, subject, x509.SubjectAlternativeName([x509.DNSName(name)])), str(
            self.folder / f"{name}.key"
        )

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, subject: x509.Name, extension) -> str:
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=name == "ca")
            .sign(self.key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (self.folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return str(self.folder / f"{name}.pem")

    def context(self, name: str, *, mutual: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*self.issue(name))
        if mutual:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(self.ca)
        return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def load(request: Request, loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> Records:
    async def carry_out() -> Records:
        return await run(constant(100, requests=3), request.open(Payloads()), Settings(5.0), clock=FakeClock())

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(carry_out())


def errors(records: Records) -> set[str]:
    return {end.error for end in records.ends}


def test_a_server_name_is_asked_for_and_verified(authority: Authority):
    asked: list[str] = []
    context = authority.context("models.example")
    context.sni_callback = lambda _, name, __: asked.append(name)
    with serving(always(OK), context) as server:
        assert errors(load(Request(server.url, tls=Tls(authority.ca, server_name="models.example")))) == {""}
        assert set(asked) == {"models.example"}
        assert errors(load(Request(server.url, tls=Tls(authority.ca, server_name="other.example")))) == {"tls"}
        wrong = load(Request(server.url, tls=Tls(authority.ca)))
    assert errors(wrong) == {"tls"}
    assert "IP address mismatch" in wrong.details["tls"]


@pytest.mark.parametrize("name", ["a..b", ".x", "x" * 64])
def test_a_server_name_that_is_none_is_refused(name: str):
    with pytest.raises(UsageError, match="is no host name"):
        Tls(server_name=name)


def test_a_client_certificate_is_shown_to_who_asks(authority: Authority):
    cert, key = authority.issue("client")
    with serving(always(OK), authority.context("127-0-0-1.example", mutual=True)) as server:
        shown = Request(server.url, tls=Tls(authority.ca, cert, key, "127-0-0-1.example"))
        assert (errors(load(shown)), shown.spoken()) == ({""}, "")
        without = Request(server.url, tls=Tls(authority.ca, server_name="127-0-0-1.example"))
        assert errors(load(without)) <= {"tls", "reset"}  # with TLS 1.3 the refusal may come after the handshake
        assert "may ask for a client certificate" in without.spoken()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("loop", [None, fastest()])
def test_a_server_that_misses_a_client_certificate_is_quoted(authority: Authority, version: ssl.TLSVersion, loop):
    context = authority.context("strict.example", mutual=True)
    context.minimum_version = context.maximum_version = version
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:  # asyncio's own server closes without the alert
        with listener, suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False) as sock:
                    with suppress(ssl.SSLError):
                        sock.do_handshake()
                    while os.read(sock.fileno(), 4096):  # to close on unread bytes would reset, and take the alert back
                        pass

    threading.Thread(target=refuse, daemon=True).start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    records = load(Request(url, tls=Tls(authority.ca, server_name="strict.example")), loop)
    listener.shutdown(socket.SHUT_RDWR)
    assert errors(records) == {"tls"}
    said = "asks for a client certificate" if version is ssl.TLSVersion.TLSv1_3 else "broke TLS off: handshake failure"
    assert said in records.details["tls"]


def test_insecure_verifies_nothing(authority: Authority):
    with serving(always(OK), authority.context("somebody.example")) as server:
        assert errors(load(Request(server.url, tls=Tls(insecure=True)))) == {""}


def test_a_server_of_http2_only_is_told_apart(authority: Authority):
    context = authority.context("h2.example")
    context.set_alpn_protocols(["h2"])
    context.options |= ssl.OP_NO_TICKET
    with serving(always(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), context) as server:
        records = load(Request(server.url, tls=Tls(authority.ca, server_name="h2.example")))
    assert errors(records) <= {"protocol", "tls"}  # OpenSSL may end the handshake for want of a common protocol


def test_who_resets_all_over_tls_is_asked_for_http2_over_tls(authority: Authority):
    context = authority.context("h2.example")
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.read(3)) == b"PRI":
            writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await writer.drain()
        writer.close()

    with listening(hasty, context) as port:
        request = Request(f"https://127.0.0.1:{port}", tls=Tls(authority.ca, server_name="h2.example"))
        assert errors(load(request)) == {"reset"}
        assert "HTTP/2 only" in request.spoken()


def test_a_server_of_tls_is_told_by_its_handshake(authority: Authority):
    with serving(always(OK), authority.context("somebody.example")) as server:
        assert "speaks TLS: write https://" in Request(server.url.replace("https:", "http:")).spoken()
    with serving(always(OK)) as server:
        assert Request(server.url).spoken() == ""


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "HTTP/2 only"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"),
        (b"SSH-2.0-OpenSSH", "does not begin with HTTP/1"),
    ],
)
def test_another_protocol_is_named(data: bytes, sentence: str):
    with serving(always(data)) as server:
        records = load(Request(server.url))
    assert errors(records) == {"protocol"}
    assert sentence in records.details["protocol"]


def test_files_that_cannot_be_used_are_one_sentence(authority: Authority, tmp_path: Path):
    cert, key = authority.issue("one")
    _, other = authority.issue("two")
    (tmp_path / "nothing").write_text("nothing")
    pem, secret = serialization.Encoding.PEM, serialization.BestAvailableEncryption(b"secret")
    (tmp_path / "locked").write_bytes(authority.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, secret))
    for tls, sentence in (
        (Tls(str(tmp_path / "absent")), "CA file .* cannot be used"),
        (Tls(str(tmp_path / "nothing")), "CA file .* cannot be used: there is none in it"),
        (
            Tls(cert_file=str(tmp_path / "nothing")),
            "certificate .* cannot be used: a certificate or a key is not to be found",
        ),
        (Tls(cert_file=cert, key_file=other), "certificate .* cannot be used: the key is not the certificate's"),
        (Tls(cert_file=cert, key_file=str(tmp_path / "locked")), "has a password"),
        (Tls(key_file=key), "a key without its certificate"),
    ):
        with pytest.raises(UsageError, match=sentence):
            Request("https://host/", tls=tls).prepare(Payloads())
