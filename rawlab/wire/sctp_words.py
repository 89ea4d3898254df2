"""SCTP packets in tcpdump's words, written and read; `wire.packets` writes the line around them.

A packet is 'sctp (1) [SACK] [cum ack 4] …, (2) [DATA] (B)(E) [TSN: 5] …': its chunks, counted. TSNs are absolute
or relative to the bases given, which are the initial TSNs that INIT and INIT ACK told: so the first DATA is TSN 0,
as in Wireshark, and a cumulative TSN before it is one less, on the circle of 2^32.

Where the notation goes beyond tcpdump's: (I) and (T) for the flags of those names, [len 5] for the user data, gap
blocks on the same line, [cum ack 4] of SHUTDOWN, [cause: …] of ABORT and ERROR, [param: …] of ASCONF and RE-CONFIG
by the RFCs' names, payload protocols by number, and why a chunk could not be read.

What does not belong here: names (`wire.symbols`), decoding (`wire.sctp`), the short form (`wire.sctp_brief`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rawlab.model import sctp as m
from rawlab.model.sctp import (
    SctpAuth,
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
from rawlab.wire.line import Line, relative

T = 1
"the flag of ABORT and SHUTDOWN COMPLETE (RFC 9260 section 3.3.7)"

Base = Serial | None


def sctp_words(packet: SctpPacket, seq_base: Base, ack_base: Base) -> str:
    """'sctp (1) [COOKIE ECHO], (2) [DATA] (B)(E) [TSN: 0] [SID: 0] [SSEQ 0] [PPID 0x0] [len 5]'."""
    chunks = [_words(chunk, seq_base, ack_base) for chunk in packet.chunks]
    if packet.malformed:
        chunks.append(f"[{packet.malformed}]")
    return f"sctp {', '.join(f'({number}) {text}' for number, text in enumerate(chunks, 1))}".rstrip()


def carried_sctp(packet: SctpPacket) -> SctpPacket:
    """What the notation carries: ports, the chunks' types and what _words() names of them, `malformed`."""
    return SctpPacket(
        source_port=packet.source_port,
        destination_port=packet.destination_port,
        verification_tag=0,
        checksum=0,
        chunks=tuple(map(_carried, packet.chunks)),
        malformed=packet.malformed,
    )


def read_sctp(line: Line, ports: Sequence[int], seq_base: Serial, ack_base: Serial) -> SctpPacket:
    """What follows 'sctp'. Raises ValueError."""
    chunks: list[SctpChunk] = []
    malformed = None
    while line.maybe(rf"{',' if chunks else ''} \({len(chunks) + 1}\) "):
        if reason := line.maybe(r"\[(SCTP: .*)\](?= \(frag |\Z)"):
            malformed = reason[1]
            break
        chunks.append(_read(line, seq_base, ack_base))
    return SctpPacket(
        source_port=ports[0],
        destination_port=ports[1],
        verification_tag=0,
        checksum=0,
        chunks=tuple(chunks),
        malformed=malformed,
    )


# ---- written


def _words(chunk: SctpChunk, seq_base: Base, ack_base: Base) -> str:
    return " ".join([f"[{symbols.tcpdump_chunk(chunk.type)}]", *_details(chunk, seq_base, ack_base)])


def _details(chunk: SctpChunk, seq_base: Base, ack_base: Base) -> Iterator[str]:
    match chunk:
        case SctpData():
            if flags := data_flags(chunk.flags):
                yield "".join(f"({flag})" for flag in flags)
            yield f"[TSN: {relative(chunk.tsn, seq_base)}]"
            yield f"[SID: {chunk.stream}]"
            yield f"[{'SSEQ' if chunk.fsn is None else 'MID:'} {chunk.ssn}]"
            yield f"[PPID 0x{chunk.ppid:x}]" if chunk.begins or chunk.fsn is None else f"[FSN: {chunk.fsn}]"
            yield f"[len {chunk.size}]"
        case SctpInit():
            yield f"[init tag: {chunk.initiate_tag}]"
            yield f"[rwnd: {chunk.a_rwnd}]"
            yield f"[OS: {chunk.outbound_streams}]"
            yield f"[MIS: {chunk.inbound_streams}]"
            yield f"[init TSN: {relative(chunk.initial_tsn, seq_base)}]"
        case SctpSack(cumulative_tsn=cumulative):
            yield f"[cum ack {relative(cumulative, ack_base)}]"
            yield f"[a_rwnd {chunk.a_rwnd}]"
            yield f"[#gap acks {len(chunk.gaps)}]"
            yield f"[#dup tsns {len(chunk.duplicates)}]"
            for number, (start, end) in enumerate(chunk.gaps, 1):
                first, last = relative(cumulative + start, ack_base), relative(cumulative + end, ack_base)
                yield f"[gap ack block #{number}: start = {first}, end = {last}]"
            for number, tsn in enumerate(chunk.duplicates, 1):
                yield f"[dup TSN #{number}: {relative(tsn, ack_base)}]"
        case SctpShutdown():
            yield f"[cum ack {relative(chunk.cumulative_tsn, ack_base)}]"
        case SctpForwardTsn():
            yield f"[TSN: {relative(chunk.cumulative_tsn, seq_base)}]"
        case SctpError():
            if reflected(chunk):
                yield "(T)"
            yield from (f"[cause: {symbols.sctp_cause(cause.type)}]" for cause in chunk.causes)
        case SctpParameters():
            if chunk.serial is not None:
                yield f"[SEQ: {chunk.serial}]"
            if not opaque(chunk):
                yield from (f"[param: {symbols.sctp_parameter(each.type)}]" for each in chunk.parameters)
        case _:
            if reflected(chunk):
                yield "(T)"


def data_flags(flags: int) -> str:
    return "".join(letter for letter, bit in symbols.SCTP_DATA_FLAGS.items() if flags & bit)


def reflected(chunk: SctpChunk) -> bool:
    """T: the verification tag is the receiver's own, reflected."""
    return chunk.type in (m.ABORT, m.SHUTDOWN_COMPLETE) and bool(chunk.flags & T)


def opaque(chunk: SctpChunk) -> bool:
    """Whether its parameters concern its sender only."""
    return chunk.type in (m.HEARTBEAT, m.HEARTBEAT_ACK)


# ---- read


def _carried(chunk: SctpChunk) -> SctpChunk:
    bare = replace(chunk, flags=T if reflected(chunk) else 0, length=4, value=(0, 0))
    match bare:
        case SctpData():
            return replace(bare, flags=chunk.flags & 15, data=(0, 0))
        case SctpInit():
            return replace(bare, parameters=())
        case SctpForwardTsn():
            return replace(bare, streams=())
        case SctpError(causes=causes):
            return replace(bare, causes=_types(causes))
        case SctpParameters(parameters=parameters):
            return replace(bare, parameters=() if opaque(chunk) else _types(parameters))
        case SctpAuth():
            return replace(bare, key=0, hmac=0)
    return bare


def _types(parameters: Iterable[SctpParameter]) -> tuple[SctpParameter, ...]:
    return tuple(SctpParameter(type=parameter.type) for parameter in parameters)


def _read(line: Line, seq_base: Serial, ack_base: Serial) -> SctpChunk:
    at = line.at
    name = line.take(r"\[([^\]]*)\]", "a chunk, as '[SACK]'")[1]
    unknown = name.removeprefix("Unknown chunk type: 0x")
    kind = _CHUNKS.get(name, int(unknown, 16) if unknown != name and unknown.isalnum() else 256)
    if kind > 255:
        raise line.error("a chunk's name, as '[SACK]'", at)
    return _READERS.get(kind, _read_plain)(line, kind, seq_base, ack_base)


def _field(line: Line, name: str, below: int = 1 << 32) -> int:
    """Reads ' [name number]'."""
    number = line.number(rf" \[{name} ", below)
    line.take(r"\]", "']'")
    return number


def _read_data(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpData:
    flags = line.maybe(r" ((?:\([IUBE]\))+)")
    bits = sum(symbols.SCTP_DATA_FLAGS[letter] for letter in set(flags[1]) - {"(", ")"}) if flags else 0
    tsn, stream = seq_base + _field(line, "TSN:"), _field(line, "SID:", 65536)
    ssn = _field(line, "SSEQ", 65536) if kind == m.DATA else _field(line, "MID:")
    fsn = None if kind == m.DATA else 0
    ppid = 0
    if kind == m.DATA or bits & symbols.SCTP_DATA_FLAGS["B"]:
        ppid = int(line.take(r" \[PPID 0x([0-9a-f]{1,8})\]", "'[PPID 0x0]'")[1], 16)
    else:
        fsn = _field(line, "FSN:")
    size = _field(line, "len", 65536)
    return SctpData(type=kind, flags=bits, tsn=tsn, stream=stream, ssn=ssn, ppid=ppid, fsn=fsn, size=size)


def _read_init(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpInit:
    return SctpInit(
        type=kind,
        initiate_tag=_field(line, "init tag:"),
        a_rwnd=_field(line, "rwnd:"),
        outbound_streams=_field(line, "OS:", 65536),
        inbound_streams=_field(line, "MIS:", 65536),
        initial_tsn=seq_base + _field(line, "init TSN:"),
    )


def _read_sack(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpSack:
    cumulative, a_rwnd = ack_base + _field(line, "cum ack"), _field(line, "a_rwnd")
    blocks, repeats = _field(line, "#gap acks", 65536), _field(line, "#dup tsns", 65536)
    gaps = tuple(_read_gap(line, number, ack_base, cumulative) for number in range(1, blocks + 1))
    duplicates = tuple(ack_base + _field(line, f"dup TSN #{number}:") for number in range(1, repeats + 1))
    return SctpSack(type=kind, cumulative_tsn=cumulative, a_rwnd=a_rwnd, gaps=gaps, duplicates=duplicates)


def _read_gap(line: Line, number: int, ack_base: Serial, cumulative: Serial) -> tuple[int, int]:
    at = line.at
    first = ack_base + line.number(rf" \[gap ack block #{number}: start = ")
    last = ack_base + line.number(", end = ")
    line.take(r"\]", "']'")
    start, end = relative(first, cumulative), relative(last, cumulative)
    if max(start, end) > 0xFFFF:
        raise line.error("a gap of 65535 TSNs at most behind the cumulative one", at)
    return start, end


def _read_shutdown(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpShutdown:
    return SctpShutdown(type=kind, cumulative_tsn=ack_base + _field(line, "cum ack"))


def _read_forward_tsn(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpForwardTsn:
    return SctpForwardTsn(type=kind, cumulative_tsn=seq_base + _field(line, "TSN:"))


def _read_error(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpError:
    flags = _read_reflected(line, kind)
    return SctpError(type=kind, flags=flags, causes=_read_types(line, "cause", symbols.SCTP_CAUSES))


def _read_list(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpParameters:
    return SctpParameters(type=kind, parameters=_read_types(line, "param", symbols.SCTP_PARAMETERS))


def _read_asconf(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpParameters:
    serial = _field(line, "SEQ:")
    return SctpParameters(type=kind, serial=serial, parameters=_read_types(line, "param", symbols.SCTP_PARAMETERS))


def _read_auth(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpAuth:
    return SctpAuth(type=kind, key=0, hmac=0)


def _read_plain(line: Line, kind: int, seq_base: Serial, ack_base: Serial) -> SctpChunk:
    return SctpChunk(type=kind, flags=_read_reflected(line, kind))


def _read_reflected(line: Line, kind: int) -> int:
    return T if kind in (m.ABORT, m.SHUTDOWN_COMPLETE) and line.maybe(r" \(T\)") else 0


def _read_types(line: Line, label: str, names: Mapping[int, str]) -> tuple[SctpParameter, ...]:
    numbers = {name: number for number, name in names.items()}
    found = []
    while line.maybe(rf" \[{label}: "):
        at = line.at
        name = line.take(r"([^\]]+)\]", f"a {label}'s name and ']'")[1]
        number = name.rpartition("-")[2]
        kind = numbers.get(name, int(number) if number.isdecimal() else 65536)
        if kind > 0xFFFF:
            raise line.error(f"a {label}'s name", at)
        found.append(SctpParameter(type=kind))
    return tuple(found)


_CHUNKS = {symbols.tcpdump_chunk(kind): kind for kind in symbols.SCTP_CHUNKS}

_READERS: Mapping[int, Callable[[Line, int, Serial, Serial], SctpChunk]] = {
    m.DATA: _read_data,
    m.I_DATA: _read_data,
    m.INIT: _read_init,
    m.INIT_ACK: _read_init,
    m.SACK: _read_sack,
    m.HEARTBEAT: _read_list,
    m.HEARTBEAT_ACK: _read_list,
    m.ABORT: _read_error,
    m.ERROR: _read_error,
    m.SHUTDOWN: _read_shutdown,
    m.AUTH: _read_auth,
    m.ASCONF: _read_asconf,
    m.ASCONF_ACK: _read_asconf,
    m.RE_CONFIG: _read_list,
    m.FORWARD_TSN: _read_forward_tsn,
    m.I_FORWARD_TSN: _read_forward_tsn,
}
