"""From a route's URI to the back end that carries it."""

from fairway_steps.clock import Clock
from fairway_steps.envoy_admin import parse_uri
from fairway_steps.errors import UsageError
from fairway_steps.routing.base import Router
from fairway_steps.routing.envoy import EnvoyRouter


def open_router(uri: str, service: str, clock: Clock) -> Router:
    """The router of ``envoy:DIR``. Raises UsageError for a URI of no known back end."""
    scheme, colon, _ = uri.partition(":")
    if scheme == "envoy" and colon:
        folder, admin = parse_uri(uri)
        return EnvoyRouter(folder, service, admin, clock)
    raise UsageError(f"route {uri!r} is of no kind that Fairway knows", mend="write envoy:DIR")
