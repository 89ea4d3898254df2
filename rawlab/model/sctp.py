"""What an SCTP packet says, as values (RFC 9260 section 3); field names are the RFC's.

A packet is a common header and chunks. Chunks whose fields attribution, views or the user-space endpoint speak of
have a class of their own; any other is an `SctpChunk`, whose value stays octets of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.model.serial import Serial

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN = range(8)
SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK, ECNE, CWR, SHUTDOWN_COMPLETE, AUTH = range(8, 16)
I_DATA, ASCONF_ACK, RE_CONFIG, PAD, FORWARD_TSN, ASCONF, I_FORWARD_TSN = 0x40, 0x80, 0x82, 0x84, 0xC0, 0xC1, 0xC2
"""Chunk types (IANA sctp-parameters)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpParameter:
    """A parameter of a chunk (section 3.2.1), or a cause of an ERROR or ABORT (section 3.3.10): a type and octets."""

    type: int
    "a parameter's type, or a cause's code"
    value: bytes = b""
    "without header and padding"


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpChunk:
    """Any chunk (section 3.2): COOKIE ECHO, COOKIE ACK, SHUTDOWN ACK, SHUTDOWN COMPLETE, or one not read further."""

    type: int
    flags: int = 0
    length: int = 4
    "octets of the chunk by its header, header included, padding not"
    value: tuple[int, int] = (0, 0)
    "where what follows the chunk's header lies in the frame: [first, last + 1), without padding"


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpInit(SctpChunk):
    """INIT and INIT ACK (sections 3.3.2, 3.3.3)."""

    initiate_tag: int
    a_rwnd: int
    "octets"
    outbound_streams: int
    inbound_streams: int
    initial_tsn: Serial
    parameters: tuple[SctpParameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpData(SctpChunk):
    """DATA (section 3.3.1) and I-DATA (RFC 8260 section 2.1)."""

    tsn: Serial
    stream: int
    ssn: int
    "stream sequence number; I-DATA: message identifier"
    ppid: int = 0
    "payload protocol identifier; of an I-DATA that does not begin a message: 0"
    fsn: int | None = None
    "I-DATA: fragment sequence number"
    data: tuple[int, int] = (0, 0)
    "where the user data lies in the frame: [first, last + 1)"
    size: int = 0
    "octets of user data by the chunk's header; more than lie in the frame where the capture was cut short"

    @property
    def begins(self) -> bool:
        """B: it is the first fragment of its message."""
        return bool(self.flags & 2)

    @property
    def ends(self) -> bool:
        """E: it is the last fragment of its message."""
        return bool(self.flags & 1)

    @property
    def unordered(self) -> bool:
        """U"""
        return bool(self.flags & 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpSack(SctpChunk):
    """SACK (section 3.3.4)."""

    cumulative_tsn: Serial
    a_rwnd: int
    gaps: tuple[tuple[int, int], ...] = ()
    "gap ack blocks: (start, end), both counted from cumulative_tsn, both acknowledged"
    duplicates: tuple[Serial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpShutdown(SctpChunk):
    """SHUTDOWN (section 3.3.8)."""

    cumulative_tsn: Serial


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpError(SctpChunk):
    """ERROR and ABORT (sections 3.3.10, 3.3.7)."""

    causes: tuple[SctpParameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpParameters(SctpChunk):
    """Chunks that are a list of parameters: HEARTBEAT and its ACK (sections 3.3.5, 3.3.6), RE-CONFIG (RFC 6525),
    ASCONF and its ACK (RFC 5061)."""

    serial: int | None = None
    "of ASCONF and ASCONF-ACK"
    parameters: tuple[SctpParameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpForwardTsn(SctpChunk):
    """FORWARD-TSN (RFC 3758 section 3.2) and I-FORWARD-TSN (RFC 8260 section 2.3.1)."""

    cumulative_tsn: Serial
    streams: tuple[tuple[int, int, bool], ...] = ()
    "(stream, SSN or MID, whether unordered) of what is skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpAuth(SctpChunk):
    """AUTH (RFC 4895 section 4.1)."""

    key: int
    "shared key identifier"
    hmac: int
    "HMAC identifier: 1 SHA-1, 3 SHA-256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpPacket:
    """A common header (section 3.1) and its chunks."""

    source_port: int
    destination_port: int
    verification_tag: int
    checksum: int
    "CRC32c as the header has it (RFC 9260 appendix A), in network byte order"
    checksum_right: bool | None = None
    "None where the packet was not captured whole"
    chunks: tuple[SctpChunk, ...] = ()
    malformed: str | None = None
    "why the chunks behind the last of `chunks` could not be read: what was expected and what came"
    data: tuple[int, int] = (0, 0)
    "where the chunks lie in the frame: [first, last + 1)"
    length: int = 0
    "octets of the chunks by the IP header"


@dataclass(frozen=True, slots=True, kw_only=True)
class SndRcvInfo:
    """struct sctp_sndrcvinfo, the ancillary data SCTP_SNDRCV of sendmsg and recvmsg (RFC 6458 section 5.3.2)."""

    stream: int = 0
    ssn: int = 0
    "received messages only"
    flags: str = "0"
    "'SCTP_UNORDERED', 'SCTP_EOF', 'SCTP_ABORT', … joined with '|'"
    ppid: int = 0
    "in the program's order: the number that stands in the packet in network byte order"
    context: int = 0
    timetolive: int = 0
    "milliseconds; 0: for ever"
    tsn: int = 0
    "received messages only: the TSN of one of its DATA chunks"
    cumtsn: int = 0
    assoc_id: int = 0
    "which association of a one-to-many socket"
