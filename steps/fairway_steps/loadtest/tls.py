"""TLS for load: whom to trust, who we are, and what went wrong with it in a few words."""

import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.errors import UsageError


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak to a server that is to prove who it is.

    ``ca_file`` (PEM) replaces the system's authorities. ``cert_file`` and ``key_file`` are our own certificate, for servers that
    ask for one. ``server_name`` is asked for (SNI) and verified instead of the URL's host. ``insecure`` verifies nothing.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure: bool = False

    def __post_init__(self) -> None:
        try:
            self.server_name.encode("idna")  # as ssl does, for each connection
        except UnicodeError as error:
            raise UsageError(
                f"the server name {self.server_name!r} is no host name", mend="write it as in a URL"
            ) from error


PLAIN = Tls()
"""Nothing out of the ordinary."""
_ALERT = re.compile(r"(?:SSL|TLS)V\d+_ALERT_(?P<what>\w+)")
_WORDS = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is none in it",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS there",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the server offers none of the protocols asked for (ALPN), such as HTTP/1.1",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server asks for a client certificate",
}


def context(tls: Tls, protocols: Sequence[str]) -> ssl.SSLContext:
    """The settings for a connection that speaks one of ``protocols`` (ALPN). Raises UsageError for files that cannot be used."""
    try:
        made = ssl.create_default_context(cafile=tls.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"CA file {tls.ca_file} cannot be used: {reason(error)}", mend="give certificates in PEM"
        ) from error
    if tls.key_file and not tls.cert_file:
        raise UsageError("a key without its certificate is of no use", mend="give the certificate, too")
    if tls.cert_file:
        try:
            made.load_cert_chain(tls.cert_file, tls.key_file or None, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"certificate {tls.cert_file} cannot be used: {reason(error)}",
                mend="give it and its key in PEM; without --key-file the key is in the same file",
            ) from error
    if tls.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols([*protocols])
    return made


def reason(error: BaseException | None) -> str:
    """What happened, without the errno and the traceback."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and (said := _said(error.reason or "")):
        return said
    if isinstance(error, ssl.SSLError) and "PEM lib" in str(error):
        return "a certificate or a key is not to be found"
    if isinstance(error, ConnectionError):
        return os.strerror(error.errno).lower() if error.errno else str(error) or "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def refused(error: BaseException | None) -> bool:
    """Whether a server broke TLS off with an alert; with TLS 1.3 that may come after the handshake (RFC 8446, section 4.4)."""
    return isinstance(error, ssl.SSLError) and _ALERT.fullmatch(error.reason or "") is not None


def _said(code: str) -> str:
    """OpenSSL's code in our words, where there are better ones than its own."""
    alert = _ALERT.fullmatch(code)
    return _WORDS.get(code) or (f"the server broke TLS off: {alert['what'].replace('_', ' ').lower()}" if alert else "")


def _no_password() -> str:
    raise ValueError("its key has a password, which a load test cannot ask for")
