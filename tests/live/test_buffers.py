"""Ancillary data as cmsg(3) has it."""

from __future__ import annotations

import socket
import struct

from rawlab.live.buffers import CONTROL_ROOM, control_of, sndrcv_of
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sndrcvinfo

INFO = SndRcvInfo(stream=3, flags="SCTP_UNORDERED", ppid=7, assoc_id=5)


def test_as_the_c_library_s_macros_make_it() -> None:
    """CMSG_SPACE octets: Python's own count of them."""
    control = control_of(INFO)
    assert len(control) == socket.CMSG_SPACE(sndrcvinfo.SIZE)
    assert struct.unpack_from("@Nii", control) == (socket.CMSG_LEN(sndrcvinfo.SIZE), socket.IPPROTO_SCTP, 1)
    assert sndrcv_of(control) == INFO


def test_found_among_others() -> None:
    """Whatever stands before it, and however long that is."""
    for size in (0, 1, 8, 13):
        other = struct.pack("@Nii", socket.CMSG_LEN(size), socket.SOL_SOCKET, 29).ljust(socket.CMSG_SPACE(size), b"x")
        assert sndrcv_of(other + control_of(INFO)) == INFO
        assert sndrcv_of(other) is None


def test_none_is_none() -> None:
    """No ancillary data, room that nobody filled in, and a length that leads nowhere."""
    assert control_of(None) == b""
    for control in (b"", CONTROL_ROOM, control_of(INFO)[:10], b"\xff" * 40):
        assert sndrcv_of(control) is None
