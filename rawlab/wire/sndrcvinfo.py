"""struct sctp_sndrcvinfo, the ancillary data SCTP_SNDRCV (RFC 6458 section 5.3.2), as bytes and as words.

As bytes it is what sendmsg(2) takes and recvmsg(2) gives on Linux. As words it is how a recorded call shows it:
the members that are not zero, by their C names, `[SCTP_SNDRCV, sinfo_stream=1, sinfo_ppid=7]` in strace's notation.
"""

from __future__ import annotations

import struct

from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_names

SIZE = 32
_LAYOUT = struct.Struct("<3H2x4s4Ii")  # the payload protocol identifier is opaque: a program writes htonl(7)
_HEAD = "SCTP_SNDRCV"
_MEMBERS = ("stream", "ssn", "flags", "ppid", "context", "timetolive", "tsn", "cumtsn", "assoc_id")


def pack(info: SndRcvInfo) -> bytes:
    """The struct. Raises struct.error for a number that its member cannot hold, ValueError for an unknown flag."""
    flags = sctp_names.number(info.flags, sctp_names.SNDRCV_FLAGS)
    ppid = struct.pack(">I", info.ppid)
    rest = info.context, info.timetolive, info.tsn, info.cumtsn, info.assoc_id
    return _LAYOUT.pack(info.stream, info.ssn, flags, ppid, *rest)


def unpack(raw: bytes) -> SndRcvInfo:
    """What the struct says. Raises struct.error where it is shorter than that."""
    stream, ssn, flags, ppid, context, timetolive, tsn, cumtsn, assoc_id = _LAYOUT.unpack_from(raw)
    return SndRcvInfo(
        stream=stream,
        ssn=ssn,
        flags=sctp_names.flags(flags, sctp_names.SNDRCV_FLAGS),
        ppid=struct.unpack(">I", ppid)[0],
        context=context,
        timetolive=timetolive,
        tsn=tsn,
        cumtsn=cumtsn,
        assoc_id=assoc_id,
    )


def words(info: SndRcvInfo | None) -> tuple[str, ...]:
    """As a recorded call shows it: ('SCTP_SNDRCV', 'sinfo_stream=1'); nothing for None."""
    if info is None:
        return ()
    shown = ((member, getattr(info, member)) for member in _MEMBERS)
    return (_HEAD, *(f"sinfo_{member}={value}" for member, value in shown if value not in (0, "0")))


def parse(words: tuple[str, ...]) -> SndRcvInfo | None:
    """What `words` wrote. Raises ValueError."""
    if not words:
        return None
    head, *rest = words
    if head != _HEAD:
        raise ValueError(f"{head!r}: expected {_HEAD}")
    found: dict[str, int | str] = {}
    for word in rest:
        member, _, value = word.removeprefix("sinfo_").partition("=")
        if member not in _MEMBERS or not value:
            raise ValueError(f"{word!r}: expected sinfo_<member>=<value>")
        found[member] = value if member == "flags" else int(value)
    return SndRcvInfo(**found)  # type: ignore[arg-type]
