"""Run by test_links.py: packets over one kind of link between two private hosts; what arrived, as JSON."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rawlab.live import needs
from rawlab.live.links import Args, BesideLink, RawLink
from rawlab.live.network import CLIENT, SERVER, Network
from rawlab.live.own_address import OwnAddressLink

EXPERIMENT = 253  # an IP protocol that no kernel speaks (RFC 3692)
SIZES = (1, 12, 1480, 1452)
CALLS: list[str] = []


def told(name: str, args: Args, call: Callable[[], Any], after: Callable[[Any], tuple[int, Args]]) -> Any:
    """Notes the call's name and result."""
    returned = call()
    CALLS.append(f"{name} {after(returned)[0] if name in ('sendto', 'recvfrom', 'send', 'recv') else ''}".strip())
    return returned


def arrivals(link: Any, other: Any, wanted: int) -> list[tuple[bytes, str, str]]:
    """So many packets, or what came within two seconds; the other link learns whom it asked for."""
    found: list[tuple[bytes, str, str]] = []
    deadline = time.monotonic() + 2
    while len(found) < wanted and (left := deadline - time.monotonic()) > 0:
        for fileno in select.select([*link.filenos, *other.filenos], [], [], left)[0]:
            if fileno in other.filenos:
                assert other.receive(fileno) is None
            elif (arrived := link.receive(fileno)) is not None:
                found.append(arrived)
    return found


def pair(network: Network, kind: str, version: int) -> tuple[Any, Any, Sequence[str]]:
    """A link on each host, and their addresses."""
    ends = [host.addresses[version == 6] for host in (CLIENT, SERVER)]
    links: list[Any] = []
    if kind == "own":
        ends = ["fd00::91", "fd00::92"] if version == 6 else ["10.0.0.91", "10.0.0.92"]
    for host, own in zip((CLIENT, SERVER), ends, strict=True):
        with network.inside(host.name):
            if kind == "own":
                mac = bytes.fromhex("0200000001") + own[-1:].encode()
                links.append(OwnAddressLink([own], host.name, mac, EXPERIMENT, told))
            else:
                links.append((BesideLink if kind == "beside" else RawLink)([own], EXPERIMENT, told))
    return links[0], links[1], ends


def main(kind: str, version: int) -> None:
    """Exchanges packets of several sizes, both ways."""
    needs.enter_user_namespace()
    one, other, ends = pair(Network(), kind, version)
    packets = [bytes([number + 1]) * size for number, size in enumerate(SIZES) if size + 40 <= 1500 or version == 4]
    for sender, receiver, (source, destination) in ((one, other, ends), (other, one, ends[::-1])):
        for packet in packets:
            sender.send(packet, source, destination)
        found = arrivals(receiver, sender, len(packets))
        print(json.dumps([found == [(packet, source, destination) for packet in packets], len(found)]))
    one.send(b"lost", ends[0], "203.0.113.9" if version == 4 else "2001:db8::9")
    one.close()
    other.close()
    print(json.dumps(CALLS))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
