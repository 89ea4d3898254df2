"""The C structures that calls read and fill in, as ctypes: addresses, messages with ancillary data, poll entries."""

from __future__ import annotations

import ctypes
import struct

from rawlab.live import libc as c
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sndrcvinfo

POLL_EVENTS = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLNVAL", "POLLRDHUP")
MSG_FLAGS = ("MSG_OOB", "MSG_TRUNC", "MSG_CTRUNC", "MSG_EOR", "MSG_ERRQUEUE", "MSG_NOTIFICATION")
_CMSG = struct.Struct("@Nii")  # struct cmsghdr, cmsg(3): cmsg_len, cmsg_level, cmsg_type
CONTROL_ROOM = bytes(256)
"""For ancillary data that the kernel fills in."""


def names(value: int, known: tuple[str, ...]) -> str:
    """The names of the bits that are set, joined with '|'; bits without a name as a number; '0' for none."""
    found = [name for name in known if value & c.number(name)]
    rest = value & ~sum(c.number(name) for name in found)
    return "|".join([*found, *([hex(rest)] if rest else [])]) or "0"


class Room:
    """Room for an address that the kernel fills in: struct sockaddr_storage and its socklen_t."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(128)
        self.length = ctypes.c_uint(128)

    def endpoint(self) -> Endpoint | None:
        """What the kernel filled in; None where it wrote nothing."""
        return c.endpoint(self.buffer.raw[: self.length.value])


class PollFd(ctypes.Structure):
    """struct pollfd, poll(2)."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


class _IoVec(ctypes.Structure):
    _fields_ = (("iov_base", ctypes.c_void_p), ("iov_len", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("msg_name", ctypes.c_void_p),
        ("msg_namelen", ctypes.c_uint),
        ("msg_iov", ctypes.POINTER(_IoVec)),
        ("msg_iovlen", ctypes.c_size_t),
        ("msg_control", ctypes.c_void_p),
        ("msg_controllen", ctypes.c_size_t),
        ("msg_flags", ctypes.c_int),
    )


class Message:
    """A struct msghdr, sendmsg(2), with the buffers that it points to."""

    def __init__(self, name: bytes, buffers: list[bytes], control: bytes = b"") -> None:
        """`name`: a struct sockaddr, or room for one; `buffers`, `control`: what to send, or room for what comes."""
        self._name = ctypes.create_string_buffer(name, max(len(name), 1))
        self._control = ctypes.create_string_buffer(control, max(len(control), 1))
        self._buffers = [ctypes.create_string_buffer(part, max(len(part), 1)) for part in buffers]
        vectors = [
            _IoVec(ctypes.addressof(buffer), len(part))
            for buffer, part in zip(self._buffers, buffers, strict=True)
        ]
        self._vectors = (_IoVec * len(vectors))(*vectors)
        self.header = _MsgHdr(
            msg_name=ctypes.addressof(self._name) if name else None,
            msg_namelen=len(name),
            msg_iov=self._vectors,
            msg_iovlen=len(vectors),
            msg_control=ctypes.addressof(self._control) if control else None,
            msg_controllen=len(control),
        )

    def endpoint(self) -> Endpoint | None:
        """The address in it."""
        return c.endpoint(self._name.raw[: self.header.msg_namelen])

    def sndrcvinfo(self) -> SndRcvInfo | None:
        """The SCTP_SNDRCV in its ancillary data."""
        return sndrcv_of(self._control.raw[: self.header.msg_controllen])

    def received(self, count: int) -> bytes:
        """The first `count` octets of what came."""
        return b"".join(buffer.raw for buffer in self._buffers)[: max(count, 0)]

    def flags(self) -> str:
        """The flags that came with it."""
        return names(self.header.msg_flags, MSG_FLAGS)


def control_of(info: SndRcvInfo | None) -> bytes:
    """Ancillary data SCTP_SNDRCV, cmsg(3); none for None."""
    if info is None:
        return b""
    raw = sndrcvinfo.pack(info)
    return _CMSG.pack(_CMSG.size + len(raw), c.number("SOL_SCTP"), c.number("SCTP_SNDRCV")) + raw


def sndrcv_of(control: bytes) -> SndRcvInfo | None:
    """The SCTP_SNDRCV among ancillary data."""
    while len(control) >= _CMSG.size:
        length, level, kind = _CMSG.unpack_from(control)
        if (level, kind) == (c.number("SOL_SCTP"), c.number("SCTP_SNDRCV")):
            return sndrcvinfo.unpack(control[_CMSG.size : length])
        control = control[max(length + 7 & ~7, _CMSG.size) :]
    return None
