"""A lab: one short program for each of the two hosts, and what the person who runs it may choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import AF_INET, AF_INET6, Symbol
from rawlab.model.faults import AnyFault

MOST_TYPED_OCTETS = 1 << 20
"of all messages that are typed while a lab runs, with 4 more for each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen for one run."""

    server: Endpoint
    "where the server is"
    messages: Sequence[bytes] = (b"hello",)
    "what each client sends, one after the other; where they are typed as it runs, the next one is waited for"
    clients: int = 1
    client: str = "10.0.0.1"
    "the client's address"
    server_addresses: tuple[str, ...] = ()
    "all of the server's addresses, of one family: the main one, then that on the second path where there are two"
    client_addresses: tuple[str, ...] = ()
    "all of the client's"
    nobody: Endpoint = Endpoint("10.0.0.3", 7)  # noqa: RUF009 - frozen
    "an address to which packets leave, and from which none comes"
    unowned: str = "10.0.0.10"
    "an address that no kernel owns, and whose packets reach the client's interface"

    @property
    def message(self) -> bytes:
        """The first message, for who sends but one."""
        return self.messages[0]

    @property
    def domain(self) -> Symbol:
        """The address family of the run."""
        return AF_INET6 if ":" in self.server.address else AF_INET


Program = Callable[[Calls, Options, Sync], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What joins the two hosts."""

    delay_ms: int = 0
    "how long it takes, each way"
    faults: tuple[AnyFault, ...] = ()
    "which packets it loses, doubles, delays or reorders"
    paths: int = 1
    "how many interfaces, with an address each, join the hosts: 1 or 2"
    router: bool = False
    "a router stands between them, with an interface to each, and neighbours are known"
    neighbours_known: bool = False
    "the hosts know each other's link-layer addresses, and the unowned one's: nobody asks for them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab by its name."""

    name: str
    shows: str
    "one sentence: what it shows"
    look_at: str
    "one sentence: what to look at"
    server: Program
    client: Program
    port: int = 7
    "the server's, if no other is asked for"
    wire: Wire = Wire()
    "what joins the hosts"
    ipv6: bool = True
    "whether it can be run over IPv6"
    most_octets: int | None = None
    "of a message; None: as many as the kernel takes"
    interactive: bool = False
    "whether both its programs go through the messages one by one, so that they can be typed as it runs"
    loopback: bool = True
    "whether it can be run on loopback"
    own_tcp: tuple[str, ...] = ()
    "hosts whose programs speak rawlab's TCP, at an address that no kernel owns, instead of the kernel's"

    @property
    def takes(self) -> frozenset[str]:
        """Of the names of `Options`, those that its programs' code has in it: of the others it makes no use."""
        codes = [program.__code__ for program in (self.client, self.server) if hasattr(program, "__code__")]
        return frozenset(name for code in codes for name in _names_in(code))


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # a comprehension, a function within
            yield from _names_in(constant)
