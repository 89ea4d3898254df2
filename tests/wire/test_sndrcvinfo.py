"""struct sctp_sndrcvinfo: as Linux lays it out, and as a recorded call shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_names, sndrcvinfo
from rawlab.wire.strace import format_value, parse_call

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
BITS = st.sets(st.sampled_from([*sctp_names.SNDRCV_FLAGS.values()]), max_size=4).map(sum)
FLAGS = BITS.map(lambda bits: sctp_names.flags(bits, sctp_names.SNDRCV_FLAGS))
INFOS = st.builds(
    SndRcvInfo,
    stream=U16,
    ssn=U16,
    flags=FLAGS,
    ppid=U32,
    context=U32,
    timetolive=U32,
    tsn=U32,
    cumtsn=U32,
    assoc_id=st.integers(-(1 << 31), (1 << 31) - 1),
)


def test_as_linux_lays_it_out() -> None:
    """What a kernel gave recvmsg(2): stream 1, unordered, protocol identifier 7 as it stands in the packet."""
    raw = bytes.fromhex("0100 0200 0100 0000 00000007 0a000000 e8030000 d3c2b1a0 d4c2b1a0 05000000")
    info = SndRcvInfo(
        stream=1,
        ssn=2,
        flags="SCTP_UNORDERED",
        ppid=7,
        context=10,
        timetolive=1000,
        tsn=0xA0B1C2D3,
        cumtsn=0xA0B1C2D4,
        assoc_id=5,
    )
    assert sndrcvinfo.unpack(raw) == info
    assert sndrcvinfo.pack(info) == raw
    assert len(raw) == sndrcvinfo.SIZE


@given(INFOS)
def test_what_was_written_is_read(info: SndRcvInfo) -> None:
    """From the struct, from the words, and from the words in strace's notation."""
    assert sndrcvinfo.unpack(sndrcvinfo.pack(info)) == info
    words = sndrcvinfo.words(info)
    assert sndrcvinfo.parse(words) == info
    assert parse_call(f"sendmsg({format_value(words)}) = 0")[1] == (words,)


def test_none_is_no_ancillary_data() -> None:
    """And a struct of zeros is some."""
    assert sndrcvinfo.words(None) == ()
    assert sndrcvinfo.parse(()) is None
    assert sndrcvinfo.words(SndRcvInfo()) == ("SCTP_SNDRCV",)
    assert format_value(sndrcvinfo.words(SndRcvInfo(stream=1, flags="SCTP_EOF"))) == (
        "[SCTP_SNDRCV, sinfo_stream=1, sinfo_flags=SCTP_EOF]"
    )


def test_a_bit_without_a_name_is_kept() -> None:
    """SCTP_PR_SCTP_TTL shares two bits with others, and is written as a number."""
    raw = sndrcvinfo.pack(SndRcvInfo(flags="SCTP_UNORDERED|0x10"))
    assert sndrcvinfo.unpack(raw).flags == "SCTP_UNORDERED|0x10"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("SCTP_RCVINFO",), "'SCTP_RCVINFO': expected SCTP_SNDRCV"),
        (("SCTP_SNDRCV", "sinfo_colour=1"), "'sinfo_colour=1': expected sinfo_<member>=<value>"),
        (("SCTP_SNDRCV", "sinfo_stream"), "'sinfo_stream': expected sinfo_<member>=<value>"),
    ],
)
def test_other_words_are_refused(words: tuple[str, ...], message: str) -> None:
    """With the word that came."""
    with pytest.raises(ValueError, match=re.escape(message)):
        sndrcvinfo.parse(words)


def test_an_unknown_flag_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(ValueError, match="SCTP_ODD: expected one of SCTP_UNORDERED, "):
        sndrcvinfo.pack(SndRcvInfo(flags="SCTP_ODD"))
