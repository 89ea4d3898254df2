"""The C structures that calls read and fill in, as ctypes: addresses, messages, poll entries."""

from __future__ import annotations

import ctypes

from rawlab.live import libc as c
from rawlab.model.address import Endpoint

POLL_EVENTS = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLNVAL", "POLLRDHUP")
MSG_FLAGS = ("MSG_OOB", "MSG_TRUNC", "MSG_CTRUNC", "MSG_EOR", "MSG_ERRQUEUE")


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

    def __init__(self, name: bytes, buffers: list[bytes]) -> None:
        """`name`: a struct sockaddr, or room for one; `buffers`: what to send, or room for what comes."""
        self._name = ctypes.create_string_buffer(name, max(len(name), 1))
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
        )

    def endpoint(self) -> Endpoint | None:
        """The address in it."""
        return c.endpoint(self._name.raw[: self.header.msg_namelen])

    def received(self, count: int) -> bytes:
        """The first `count` octets of what came."""
        return b"".join(buffer.raw for buffer in self._buffers)[: max(count, 0)]

    def flags(self) -> str:
        """The flags that came with it."""
        return names(self.header.msg_flags, MSG_FLAGS)
