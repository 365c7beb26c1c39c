"""Which body each request carries: a fixed list of them, taken in turn. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Payloads:
    """Request ``index`` carries ``bodies[pick(index)]``.

    Bodies are few and known beforehand, so that a client can prepare the bytes of each before the first request. In
    one of several processes ``index`` counts that process's own requests: its request *i* is ``first + i * stride`` of all.
    """

    bodies: tuple[bytes, ...] = field(default=(b"",), repr=False)
    first: int = 0
    stride: int = 1

    def pick(self, index: int) -> int:
        """The place in ``bodies`` of what request ``index`` carries."""
        return (self.first + index * self.stride) % len(self.bodies)

    def __getitem__(self, index: int) -> bytes:
        return self.bodies[self.pick(index)]

    def share(self, worker: int, workers: int) -> "Payloads":
        """What the process ``worker`` of ``workers`` sends of these."""
        return Payloads(self.bodies, self.first + worker * self.stride, self.stride * workers)
