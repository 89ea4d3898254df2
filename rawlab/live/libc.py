"""libc through ctypes: the few functions that Python has not, or that it surrounds with calls of its own.

Python's `socket` adds flags and calls (SOCK_CLOEXEC, retries after EINTR); what stands here makes exactly one
system call a function, and reports errno as C does. Constants are the kernel's, by their C names. What does
*not* belong here: any decision about when to call.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import struct

from rawlab.model.address import Endpoint
from rawlab.wire import sctp_names

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_NAME = 1, 24, 38, 15
SYS_PIDFD_GETFD = 438  # the same number on every architecture (asm-generic/unistd.h)
LINUX_CAPABILITY_VERSION_3 = 0x20080522

# Names that Python's socket module lacks, or calls otherwise (include/uapi/linux).
_NUMBERS = {
    **{"POLLRDHUP": 0x2000, "SO_PEEK_OFF": 42, "TCP_CORK": 3, "IP_RECVERR": 11, "MSG_ERRQUEUE": 0x2000},
    **{"ETH_P_IP": 0x0800, "ETH_P_IPV6": 0x86DD},  # linux/if_ether.h
    **sctp_names.NUMBERS,
}


@functools.cache
def number(symbol: str) -> int:
    """The number behind a constant's name, or behind several joined with '|'. Raises ValueError."""
    import fcntl
    import select

    if "|" in symbol:
        return functools.reduce(int.__or__, map(number, symbol.split("|")))
    if symbol.lstrip("-").isdecimal():
        return int(symbol)
    if symbol.startswith("htons("):
        return socket.htons(number(symbol[6:-1]))
    for module in (socket, select, os, fcntl):
        if isinstance(value := getattr(module, symbol, None), int):
            return int(value)
    if symbol in _NUMBERS:
        return _NUMBERS[symbol]
    raise ValueError(f"{symbol}: no such constant in this system's headers")


def check(result: int, what: str) -> int:
    """The result, or OSError with errno and what was tried."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    check(libc.unshare(flags), "unshare")


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """setns(2). Raises OSError."""
    check(libc.setns(fd, kind), "setns")


def prctl(option: int, value: int | bytes) -> None:
    """prctl(2). Raises OSError."""
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    check(libc.prctl(option, argument, 0, 0, 0), "prctl")


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A duplicate of another process's descriptor, pidfd_getfd(2). Raises OSError."""
    return check(libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0), "pidfd_getfd")


def bar_capabilities() -> None:
    """Bars what this process starts from every capability (its own bounding set), capabilities(7), as far as it may."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == -1:
            break  # past the last capability (EINVAL), or without the right to (EPERM)


def drop_capabilities() -> None:
    """Gives up every capability, for this process and all that it starts, capabilities(7). Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, bytes(24)), "capset")


# Numbers of two names, of which Python may know the one that neither strace(1) nor the man pages use.
_ALIASES = {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}


def errno_name(code: int) -> str:
    """'ECONNREFUSED' for 111; an unknown number as itself."""
    name = errno.errorcode.get(code, str(code))
    return _ALIASES.get(name, name)


def sockaddr(endpoint: Endpoint) -> bytes:
    """A struct sockaddr_in or sockaddr_in6, ip(7), ipv6(7). The port wraps as htons(3) makes it wrap."""
    if ":" in endpoint.address:
        port, address = endpoint.port & 0xFFFF, socket.inet_pton(socket.AF_INET6, endpoint.address)
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16sI", port, 0, address, 0)
    address = socket.inet_pton(socket.AF_INET, endpoint.address)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", endpoint.port & 0xFFFF, address)


def endpoint(raw: bytes) -> Endpoint | None:
    """What a struct sockaddr_in or sockaddr_in6 holds; None for another family."""
    family = struct.unpack_from("=H", raw)[0] if len(raw) >= 2 else socket.AF_UNSPEC
    if family == socket.AF_INET and len(raw) >= 8:
        return Endpoint(socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack_from("!H", raw, 2)[0])
    if family == socket.AF_INET6 and len(raw) >= 24:
        return Endpoint(socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack_from("!H", raw, 2)[0])
    return None
