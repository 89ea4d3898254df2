"""usrsctp, the SCTP of FreeBSD in user space (Debian's libusrsctp2), as a peer: a process on a host of its own.

It is asked through ctypes and speaks raw IP, as ours does. `python -m tests.endpoints.sctp.usrsctp ROLE …` runs one
role, says `ready` on a line once it listens, and at the end what happened as a line of JSON.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from random import Random

LIBRARY = "libusrsctp.so.2"
PORT = 7
SECOND_MS = 1000
PPIDS = 0x52570000
"PPIDs are numbers of messages from here on: no protocol's, so that tshark does not read on"
_SCTP = 132
_SNDINFO, _RECVRCVINFO, _NODELAY, _INITMSG, _RTOINFO = 1, 0x1F, 4, 3, 1
_block = Random(9260).randbytes(600_000)


def message(seed: int, number: int, largest: int) -> bytes:
    """The same message at both ends: 1 octet to `largest`, small ones more often."""
    chance = Random(seed * 1_000_003 + number)
    size = chance.randint(1, chance.choice((64, *[3000] * 14, largest)))
    start = chance.randrange(len(_block) - size)
    return _block[start : start + size]


def library() -> ctypes.CDLL:
    """Loaded; raises OSError where it is not installed."""
    lib = ctypes.CDLL(LIBRARY, use_errno=True)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    lib.usrsctp_init.argtypes = [ctypes.c_uint16, pointer, pointer]
    lib.usrsctp_socket.restype = pointer
    lib.usrsctp_socket.argtypes = [ctypes.c_int] * 3 + [pointer, pointer, ctypes.c_uint32, pointer]
    lib.usrsctp_accept.restype = pointer
    lib.usrsctp_accept.argtypes = [pointer, pointer, pointer]
    lib.usrsctp_bind.argtypes = lib.usrsctp_connect.argtypes = [pointer, pointer, ctypes.c_uint32]
    lib.usrsctp_listen.argtypes = lib.usrsctp_shutdown.argtypes = [pointer, ctypes.c_int]
    lib.usrsctp_close.argtypes = [pointer]
    lib.usrsctp_setsockopt.argtypes = [pointer, ctypes.c_int, ctypes.c_int, pointer, ctypes.c_uint32]
    lib.usrsctp_sendv.restype = lib.usrsctp_recvv.restype = ctypes.c_ssize_t
    lib.usrsctp_sendv.argtypes = [
        pointer, ctypes.c_char_p, size, pointer, ctypes.c_int, pointer, ctypes.c_uint32, ctypes.c_uint, ctypes.c_int
    ]  # fmt: skip
    lib.usrsctp_recvv.argtypes = [pointer, pointer, size, pointer, pointer, pointer, pointer, pointer, pointer]
    return lib


class Peer:
    """The library, begun; its sockets are `Socket`s."""

    def __init__(self, buffer: int = 1 << 20, *, rto_min: int = 100) -> None:
        self.lib = library()
        self.lib.usrsctp_init(0, None, None)
        self.lib.usrsctp_sysctl_set_sctp_sendspace(buffer)
        self.lib.usrsctp_sysctl_set_sctp_recvspace(buffer)
        self.lib.usrsctp_sysctl_set_sctp_rto_min_default(rto_min)
        self.lib.usrsctp_sysctl_set_sctp_rto_initial_default(rto_min)
        self.lib.usrsctp_sysctl_set_sctp_init_rto_max_default(SECOND_MS)

    def socket(self) -> Socket:
        """socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)"""
        made = self.lib.usrsctp_socket(socket.AF_INET, socket.SOCK_STREAM, _SCTP, None, None, 0, None)
        if not made:
            raise OSError(ctypes.get_errno(), "usrsctp_socket")
        return Socket(self.lib, made)


class Socket:
    """One one-to-one socket."""

    def __init__(self, lib: ctypes.CDLL, number: int) -> None:
        self.lib = lib
        self.number = number
        self._buffer = ctypes.create_string_buffer(1 << 20)
        for option in (_RECVRCVINFO, _NODELAY):
            self._set(option, struct.pack("=i", 1))
        self._set(_INITMSG, struct.pack("=HHHH", 10, 10, 0, 0))

    def _set(self, option: int, value: bytes) -> None:
        self._checked(self.lib.usrsctp_setsockopt(self.number, _SCTP, option, value, len(value)), "setsockopt")

    def _checked(self, result: int, call: str) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), f"usrsctp_{call}")
        return result

    def listen(self, port: int) -> None:
        """bind and listen"""
        self._checked(self.lib.usrsctp_bind(self.number, _sockaddr("0.0.0.0", port), 16), "bind")
        self._checked(self.lib.usrsctp_listen(self.number, 100), "listen")

    def connect(self, address: str, port: int) -> None:
        """connect"""
        self._checked(self.lib.usrsctp_connect(self.number, _sockaddr(address, port), 16), "connect")

    def accept(self) -> Socket:
        """accept"""
        made = self.lib.usrsctp_accept(self.number, None, None)
        if not made:
            raise OSError(ctypes.get_errno(), "usrsctp_accept")
        return Socket(self.lib, made)

    def send(self, data: bytes, stream: int, ppid: int) -> None:
        """A message."""
        info = struct.pack("=HHIII", stream, 0, socket.htonl(PPIDS + ppid), 0, 0)
        sent = self.lib.usrsctp_sendv(self.number, data, len(data), None, 0, info, len(info), _SNDINFO, 0)
        self._checked(sent, "sendv")

    def receive(self) -> tuple[bytes, int, int] | None:
        """A whole message with its stream and PPID, None at the end."""
        whole = b""
        while True:
            info, length, kind = ctypes.create_string_buffer(64), ctypes.c_uint32(64), ctypes.c_uint(0)
            flags, peer, peer_length = ctypes.c_int(0), ctypes.create_string_buffer(64), ctypes.c_uint32(64)
            ref = ctypes.byref
            octets = self.lib.usrsctp_recvv(
                self.number, self._buffer, len(self._buffer), peer, ref(peer_length), info, ref(length), ref(kind),
                ref(flags),
            )  # fmt: skip
            if self._checked(octets, "recvv") == 0:
                return None
            whole += ctypes.string_at(self._buffer, octets)
            if flags.value & socket.MSG_EOR:
                stream, ppid = struct.unpack_from("=H6xI", info.raw)
                return whole, stream, socket.ntohl(ppid) - PPIDS

    def messages(self) -> Iterator[tuple[bytes, int, int]]:
        """Up to the end."""
        while (one := self.receive()) is not None:
            yield one

    def close(self) -> None:
        """close"""
        self.lib.usrsctp_close(self.number)


def _sockaddr(address: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


# ---- roles; each returns what to tell


def echo(count: int) -> dict[str, object]:
    """Serves so many associations, one after the other: each message goes back."""
    listener = Peer().socket()
    listener.listen(PORT)
    print("ready", flush=True)
    came = 0
    for _ in range(count):
        accepted = listener.accept()
        for data, stream, ppid in accepted.messages():
            accepted.send(data, stream, ppid)
            came += 1
        accepted.close()
    return {"messages": came}


def ask(address: str, count: int) -> dict[str, object]:
    """So many associations, one after the other, each with a message whose echo must be the same."""
    peer, wrong = Peer(), 0
    print("ready", flush=True)
    for number in range(count):
        client, data = peer.socket(), message(1, number, 3000)
        client.connect(address, PORT)
        client.send(data, number % 10, number)
        wrong += client.receive() != (data, number % 10, number)
        client.lib.usrsctp_shutdown(client.number, socket.SHUT_WR)
        wrong += client.receive() is not None
        client.close()
    return {"wrong": wrong}


def sink(seed: int, count: int, largest: int) -> dict[str, object]:
    """One association; every message is held to what it must be, streams to their order."""
    listener = Peer().socket()
    listener.listen(PORT)
    print("ready", flush=True)
    accepted = listener.accept()
    wrong, octets, came = 0, 0, 0
    last: dict[int, int] = {}
    for data, stream, number in accepted.messages():
        right = data == message(seed, number, largest) and stream == number % 8
        wrong += not right or number != last.get(stream, stream - 8) + 8
        last[stream] = number
        octets += len(data)
        came += 1
    accepted.close()
    return {"messages": came, "wrong": wrong, "octets": octets}


def source(address: str, seed: int, count: int, largest: int) -> dict[str, object]:
    """One association; sends all messages, and shuts down."""
    client = Peer().socket()
    print("ready", flush=True)
    client.connect(address, PORT)
    octets = 0
    for number in range(count):
        data = message(seed, number, largest)
        client.send(data, number % 8, number)
        octets += len(data)
    client.lib.usrsctp_shutdown(client.number, socket.SHUT_WR)
    ended = client.receive() is None
    client.close()
    return {"octets": octets, "ended": ended}


ROLES = {"echo": echo, "ask": ask, "sink": sink, "source": source}


def main() -> None:
    """ROLE and its arguments."""
    role, *arguments = sys.argv[1:]
    result = ROLES[role](*(int(one) if one.isdecimal() else one for one in arguments))  # type: ignore[operator]
    print(json.dumps(result), flush=True)
    time.sleep(0.3)  # the last packets are the library's threads'


if __name__ == "__main__":
    main()
