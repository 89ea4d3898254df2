"""What an SCTP packet's chunks mean, a sentence each, with RFC 9260's section."""

from __future__ import annotations

from collections.abc import Mapping

from rawlab.model.sctp import SctpPacket

_CHUNKS: Mapping[int, str] = {
    0: "DATA: a TSN numbers each chunk for acknowledgment, stream and number order messages (RFC 9260 section 3.3.1)",
    1: "INIT: offers its tag, which packets to it must bear, its streams and its window (RFC 9260 section 3.3.2)",
    2: "INIT ACK: all that its sender must know is in the signed cookie, and it keeps nothing (RFC 9260 section 5.1.3)",
    3: "SACK: acknowledges all TSNs up to one and, where there is a gap, those beyond it (RFC 9260 section 3.3.4)",
    4: "HEARTBEAT: asks whether a path still leads to the peer (RFC 9260 section 8.3)",
    5: "HEARTBEAT ACK: gives back what the heartbeat brought: the path works (RFC 9260 section 8.3)",
    6: "ABORT: ends the association at once, and is not answered (RFC 9260 section 9.1)",
    7: "SHUTDOWN: no new data from here on; there is no half-close as in TCP (RFC 9260 section 9.2)",
    8: "SHUTDOWN ACK: all data has been acknowledged, this side ends as well (RFC 9260 section 9.2)",
    9: "ERROR: something is wrong, but the association may go on (RFC 9260 section 3.3.10)",
    10: "COOKIE ECHO: brings the cookie back: only who truly has that address can do so (RFC 9260 section 5.1.5)",
    11: "COOKIE ACK: the association is established, the fourth of four steps (RFC 9260 section 5.1)",
    14: "SHUTDOWN COMPLETE: the last of three steps: nobody waits as in TCP's TIME-WAIT (RFC 9260 section 9.2)",
}


def packet(sctp: SctpPacket) -> str:
    """What its chunks mean, each kind once; '' where there is nothing to say."""
    kinds = dict.fromkeys(chunk.type for chunk in sctp.chunks)
    said = [_CHUNKS[kind] for kind in kinds if kind in _CHUNKS]
    return f"{'; '.join(said)}." if said else ""
