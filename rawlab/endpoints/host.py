"""What hosts of any transport protocol have in common: addresses, ports, chance, the time, and what goes out.

Sans-IO: packets and the time come in by a subclass's `receive` and by `wake`, packets go out by its `take`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from rawlab.endpoints.timers import Timers

FIRST_PORT, PORTS = 32768, 28232
"the ports that are given out, as Linux's ip_local_port_range has them"


class CallError(Exception):
    """A call that could not be done; `errno` is the name of what the kernel's socket would say."""

    def __init__(self, errno: str, why: str) -> None:
        super().__init__(f"{errno}: {why}")
        self.errno = errno


class Outgoing(NamedTuple):
    """A packet for the wire. (A tuple, since one is made for each packet: a frozen dataclass takes three times as
    long.)"""

    packet: bytes
    "from the transport's header on"
    source: str
    destination: str


class Bound(Protocol):
    """What holds a port."""

    @property
    def port(self) -> int: ...

    @property
    def addresses(self) -> tuple[str, ...]: ...


Holder = TypeVar("Holder", bound=Bound)


class BaseHost(Generic[Holder]):
    """A host's addresses, and who holds which port at which of them."""

    error: ClassVar[type[CallError]] = CallError
    "what a call that can't be done raises"

    def __init__(self, addresses: Sequence[str], entropy: Callable[[int], bytes], now_ns: int) -> None:
        """`entropy(n)` gives n octets that nobody can guess."""
        self.addresses = tuple(str(ip_address(one)) for one in addresses)
        self.entropy = entropy
        self.now = now_ns
        self.timers = Timers()
        self.endpoints: dict[tuple[str, int], Holder] = {}
        self.out: list[Outgoing] = []

    # ---- ports

    def _choose(self, port: int, addresses: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """Where to bind: the port, or for 0 a free one, and some or all addresses. Raises `error`."""
        chosen = tuple(str(ip_address(one)) for one in addresses) or self.addresses
        if strange := [one for one in chosen if one not in self.addresses]:
            raise self.error("EADDRNOTAVAIL", f"{strange[0]}: one of {', '.join(self.addresses)} expected")
        port = port or self._free_port(chosen)
        if any((address, port) in self.endpoints for address in chosen):
            raise self.error("EADDRINUSE", f"port {port} is open already")
        return port, chosen

    def _free_port(self, addresses: Sequence[str]) -> int:
        start = self.number32()
        for step in range(PORTS):
            port = FIRST_PORT + (start + step) % PORTS
            if self._is_free(port, addresses):
                return port
        raise self.error("EADDRINUSE", "no port is free")

    def _is_free(self, port: int, addresses: Sequence[str]) -> bool:
        return all((address, port) not in self.endpoints for address in addresses)

    def _bind(self, holder: Holder) -> Holder:
        """It holds its port at its addresses."""
        for address in holder.addresses:
            self.endpoints[address, holder.port] = holder
        return holder

    def release(self, holder: Holder) -> None:
        """Its port is free again."""
        for address in holder.addresses:
            if self.endpoints.get((address, holder.port)) is holder:
                del self.endpoints[address, holder.port]

    # ---- time and chance

    def wake(self, now_ns: int) -> None:
        """Runs the timers that are due."""
        self.clock(now_ns)
        self.timers.run(self.now)

    @property
    def deadline_ns(self) -> int | None:
        """When `wake` is wanted next."""
        return self.timers.next_due

    def clock(self, now_ns: int) -> None:
        """The time; it never runs backwards."""
        if now_ns > self.now:
            self.now = now_ns

    def number32(self) -> int:
        """32 bits of chance."""
        return int.from_bytes(self.entropy(4), "big")
