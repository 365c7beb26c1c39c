"""Requests to metric back ends: TLS verified, secrets read when they are needed and shown to nobody, no redirects.

Nothing here reads the environment: ``resolve`` is given by the command.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairway_steps.errors import UsageError
from fairway_steps.handshake import trouble
from fairway_steps.secrets import Secret, scrub

if TYPE_CHECKING:
    import requests

Resolve = Callable[[str, str], Secret]
"""``resolve(where, reference)`` gives the secret behind ``env:NAME`` or ``file:PATH``."""
REFERENCE = ("env:", "file:")


def no_secret(where: str, reference: str) -> Secret:
    raise UsageError(f"{where}: {reference} cannot be read here")


@dataclass(frozen=True, slots=True)
class Access:
    """How a back end is reached. ``bearer``, ``basic`` (``USER:PASSWORD``) and headers may be references to secrets.

    ``ca`` is a file of certificates to trust instead of the machine's; ``certificate`` and ``key`` are our own.
    ``timeout`` is in seconds, to connect and between two bytes of an answer.
    """

    resolve: Resolve
    bearer: str = ""
    basic: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: str = ""
    certificate: str = ""
    key: str = ""
    timeout: float = 10.0

    def secrets(self) -> dict[str, Secret]:
        """Each secret by the header it goes into, read anew: tokens in files are renewed while a release runs."""
        named = {name: value for name, value in self.headers.items() if value.startswith(REFERENCE)}
        found = {name: self.resolve(f"metrics: headers.{name}", value) for name, value in named.items()}
        if self.bearer:
            token = self.resolve("metrics: bearer", self.bearer)
            found["Authorization"] = Secret(f"Bearer {token.value}", token.source)
        if self.basic:
            from base64 import b64encode  # noqa: PLC0415 - rarely needed

            pair = self.resolve("metrics: basic", self.basic)
            found["Authorization"] = Secret(f"Basic {b64encode(pair.value.encode()).decode()}", pair.source)
        for name, secret in found.items():
            if not all(" " <= letter <= "\xff" and letter != "\x7f" for letter in secret.value):
                where = f"what {secret.source} holds" if secret.source else f"the secret for {name}"
                raise UsageError(
                    f"metrics: {where} cannot be sent as a header", mend="take line breaks and the like out"
                )
        return found

    def session(self, secrets: Mapping[str, Secret]) -> "requests.Session":
        """A session that sends the secrets and follows no redirect, for that would carry them away."""
        import requests  # noqa: PLC0415 - 60 ms that a command without such a source need not wait

        access = self

        class Session(requests.Session):
            def request(self, method: str | bytes, url: str | bytes, **given: Any) -> requests.Response:  # type: ignore[override]  # all but the first two are passed on
                if method == "POST" and given.get("params") and not given.get("data"):
                    given["data"] = given.pop(
                        "params"
                    )  # a query belongs into the body: an address has a limit, and is logged
                given["timeout"] = (min(5.0, access.timeout), access.timeout)
                given["allow_redirects"] = False
                return super().request(method, url, **given)

        session = Session()
        session.trust_env = False
        session.auth = _nothing  # else a netrc file could answer for it
        session.headers["User-Agent"] = "fairway"
        session.headers.update({name: value for name, value in self.headers.items() if name not in secrets})
        session.headers.update({name: secret.value for name, secret in secrets.items()})
        session.verify = self.ca or True
        session.cert = (self.certificate, self.key) if self.key else self.certificate or None
        return session


def _nothing(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    return request


def refusal(status: int) -> str:
    """What an answer with such a status says."""
    if status in (401, 403):
        return f"answers {status}: the token or password is missing, or not its own"
    if 300 <= status < 400:
        return f"answers {status}, and redirects are not followed: write the address that this one leads to"
    return f"answers {status}"


def hidden(text: str, secrets: Mapping[str, Secret]) -> str:
    """What another program says, without the secrets that it was sent."""
    words = [word for secret in secrets.values() for word in (secret.value, secret.value.rpartition(" ")[2])]
    return scrub(text, *map(Secret, words))


def problem_of(error: Exception, access: Access, secrets: Mapping[str, Secret]) -> str:
    """What went wrong with a request, in words of our own: the library's would show addresses and headers."""
    import requests  # noqa: PLC0415 - it is loaded already

    known = requests.exceptions
    if isinstance(error, known.SSLError):
        return f"its {trouble(error)}"
    if isinstance(error, known.ConnectTimeout):
        return f"there is no connection within {min(5.0, access.timeout):g} s"
    if isinstance(error, known.Timeout):
        return f"it does not answer within {access.timeout:g} s"
    said = {
        known.ConnectionError: "it cannot be reached",
        known.ChunkedEncodingError: "its answer breaks off",
        known.ContentDecodingError: "its answer is not encoded as it says",
    }
    if found := next((words for kind, words in said.items() if isinstance(error, kind)), ""):
        return found
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return hidden(str(error), secrets)
    return f"the request could not be made ({type(error).__name__})"
