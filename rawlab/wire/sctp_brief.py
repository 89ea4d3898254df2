"""SCTP packets in few words, for tables and ladders: '[SACK] ack 3, gaps 5-6, win 4096', '[2×DATA BE] TSN 4-5, …'.

What tells packets apart is there; what a column has no room for is left to `wire.sctp_words`. TSNs are relative
to the same bases, but signed: what is acknowledged before any data came is -1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from itertools import groupby

from rawlab.model.sctp import (
    ABORT,
    SctpChunk,
    SctpData,
    SctpError,
    SctpForwardTsn,
    SctpInit,
    SctpPacket,
    SctpParameter,
    SctpParameters,
    SctpSack,
    SctpShutdown,
)
from rawlab.model.serial import Serial
from rawlab.wire import symbols
from rawlab.wire.sctp_words import Base, data_flags, opaque, reflected

_IPV4, _IPV6 = 5, 6  # parameters
_USER_INITIATED = 12  # a cause
SOME = 4
"gaps, duplicates or streams that brief_sctp() gives before it says '…'"


def brief_sctp(packet: SctpPacket, seq_base: Base, ack_base: Base) -> str:
    """'[COOKIE ECHO] [DATA BE] TSN 0, sid 0, ssn 0, len 5'; DATA chunks in a row are told together."""
    texts = []
    for data, group in groupby(packet.chunks, lambda chunk: isinstance(chunk, SctpData)):
        chunks = list(group)
        if data and len(chunks) > 1:
            texts.append(_brief_row([chunk for chunk in chunks if isinstance(chunk, SctpData)], seq_base))
        else:
            texts += [_brief(chunk, seq_base, ack_base, len(packet.chunks) == 1) for chunk in chunks]
    if texts and packet.chunks[0].type == ABORT:  # the tag tells what it answers: an INIT's own, or the peer's
        texts[0] = texts[0].replace("]", f"] tag {packet.verification_tag:08x}", 1)
    if packet.malformed or not texts:
        texts.append(f"[{packet.malformed or 'SCTP: no chunk'}]")
    return " ".join(texts)


def _brief(chunk: SctpChunk, seq_base: Base, ack_base: Base, alone: bool) -> str:
    """One chunk; `alone`: it has the packet, and the table's column, for itself."""
    name = symbols.sctp_chunk(chunk.type)
    match chunk:
        case SctpData():
            flags = data_flags(chunk.flags)
            parts = [f"[{name}{' ' if flags else ''}{flags}] TSN {_near(chunk.tsn, seq_base)}", f"sid {chunk.stream}"]
            if chunk.fsn is not None:
                parts.append(f"mid {chunk.ssn}" if chunk.begins else f"mid {chunk.ssn}, fsn {chunk.fsn}")
            elif not chunk.unordered:
                parts.append(f"ssn {chunk.ssn}")
            if chunk.ppid:
                parts.append(f"ppid {chunk.ppid}")
            return ", ".join([*parts, f"len {chunk.size}"])
        case SctpInit():
            streams = f"streams {chunk.outbound_streams}/{chunk.inbound_streams}"
            found = _addresses(chunk)
            more = f", addresses {_some(found)}" if len(found) > 1 else ""
            return f"[{name}] tag {chunk.initiate_tag:08x}, {streams}{more}"
        case SctpSack(cumulative_tsn=cumulative):
            parts = [f"[{name}] ack {_near(cumulative, ack_base)}"]
            if chunk.gaps:
                after = _near(cumulative, ack_base)
                parts.append(f"gaps {_some([_span(after + start, after + end) for start, end in chunk.gaps])}")
            if chunk.duplicates:
                parts.append(f"dups {_some([str(_near(tsn, ack_base)) for tsn in chunk.duplicates])}")
            return ", ".join([*parts, f"win {chunk.a_rwnd}"] if alone or not chunk.a_rwnd else parts)
        case SctpShutdown():
            return f"[{name}] ack {_near(chunk.cumulative_tsn, ack_base)}"
        case SctpForwardTsn():
            return f"[{name}] TSN {_near(chunk.cumulative_tsn, seq_base)}"
        case SctpError():
            causes = ", ".join(_cause(cause) for cause in chunk.causes)
            return f"[{name}{' T' if reflected(chunk) else ''}] {causes}".rstrip()
        case SctpParameters() if not opaque(chunk):
            serial = "" if chunk.serial is None else f"seq {chunk.serial}: "
            names = ", ".join(symbols.sctp_parameter(each.type) for each in chunk.parameters)
            return f"[{name}] {serial}{names}".rstrip()
        case _:
            return f"[{name}{' T' if reflected(chunk) else ''}]"


def _addresses(chunk: SctpInit) -> list[str]:
    """Those that it names (section 3.3.2.1)."""
    kinds = {_IPV4: 4, _IPV6: 16}
    named = (each.value for each in chunk.parameters if kinds.get(each.type) == len(each.value))
    return [str(ip_address(value)) for value in named]


def _cause(cause: SctpParameter) -> str:
    """Its name; of a user's ABORT also the reason that the user gave."""
    name = symbols.sctp_cause(cause.type)
    return f"{name} {ascii(cause.value)[1:]}" if cause.type == _USER_INITIATED and cause.value else name


def _brief_row(chunks: Sequence[SctpData], seq_base: Base) -> str:
    """'[3×DATA] TSN 4-6, sid 0-1, len 15': chunks in a row, their numbers as ranges, their octets together."""
    letters = {data_flags(chunk.flags) for chunk in chunks}
    flags = f" {letters.pop()}" if len(letters) == 1 else ""
    tsns = _ranges(_near(chunk.tsn, seq_base) for chunk in chunks)
    streams = _ranges(chunk.stream for chunk in chunks)
    name = symbols.sctp_chunk(chunks[0].type)
    return f"[{len(chunks)}×{name}{flags}] TSN {tsns}, sid {streams}, len {sum(chunk.size for chunk in chunks)}"


def _near(number: Serial, base: Base) -> int:
    """How far the number lies ahead of its base: -1 just before it; the number itself without one."""
    return number.value if base is None else number - base


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in order, runs of them as 'first-last'."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return _some([_span(*span) for span in spans])


def _some(texts: Sequence[str]) -> str:
    """The first few."""
    return " ".join([*texts[:SOME], "…"] if len(texts) > SOME else texts)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
