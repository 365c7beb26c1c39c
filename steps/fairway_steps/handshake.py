"""Why a TLS handshake failed, in words."""

import ssl
from collections.abc import Iterator


def trouble(error: BaseException) -> str:
    """Of an exception that carries an ssl.SSLError somewhere in its arguments or causes, as urllib3's do."""
    found = next((one for one in _within(error) if isinstance(one, ssl.SSLError)), None)
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"certificate is not trusted ({found.verify_message})"
    if found is not None and found.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return "port does not speak TLS"
    return "TLS handshake failed"


def _within(error: object) -> Iterator[BaseException]:
    if isinstance(error, BaseException):
        yield error
        for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
            yield from _within(inner)
