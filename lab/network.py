"""The lab's network namespace: loopback and one bridge that carries the node's address. Nothing leads out of it."""

from lab.places import NETNS, NODE_NETWORK, SERVICE_NETWORK, netns_path
from lab.processes import inside, run

BRIDGE = "lab0"


def make() -> None:
    run("ip", "netns", "add", NETNS)
    for command in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "link", "add", BRIDGE, "type", "bridge"),
        ("ip", "address", "add", NODE_NETWORK, "dev", BRIDGE),
        ("ip", "link", "set", BRIDGE, "up"),
        ("ip", "route", "add", SERVICE_NETWORK, "dev", BRIDGE),  # else nothing sent there is ever translated
        ("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
    ):
        run(*inside(*command))


def exists() -> bool:
    return netns_path().exists()


def remove() -> None:
    """With the namespace go its bridges, its veth pairs and its firewall rules."""
    if exists():
        run("ip", "netns", "delete", NETNS)
