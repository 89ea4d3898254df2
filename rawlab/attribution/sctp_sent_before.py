"""Which DATA chunks of SCTP were sent before: tshark's `sctp.retransmission`.

A TSN is sent once, and again only with the same octets (RFC 9260 section 6.3.3); so a TSN that its sender used before,
in the same association, says all. Where a capture sees a packet at two places, the second sight of it is one, too:
give each place its own `SentBefore`. Why it was sent again is no matter of this module.
"""

from __future__ import annotations

from collections.abc import Iterator

from rawlab.model.sctp import SctpData, SctpPacket

MOST = 100_000
"TSNs of one direction that are remembered, the latest"


class SentBefore:
    """The TSNs that were seen, by direction: ports and verification tag, as with multihoming addresses change."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int, int], dict[int, int]] = {}

    def see(self, number: int, packet: SctpPacket) -> Iterator[tuple[SctpData, int]]:
        """Of record `number`, each chunk whose TSN was sent before, and the record that had it first."""
        key = packet.source_port, packet.destination_port, packet.verification_tag
        seen = self._seen.setdefault(key, {})
        for chunk in packet.chunks:
            if not isinstance(chunk, SctpData):
                continue
            first = seen.setdefault(chunk.tsn.value, number)
            if first != number:
                yield chunk, first
            elif len(seen) > MOST:
                del seen[next(iter(seen))]
