"""What a system call in strace's log is in the words of rawlab's tables: its arguments by their names in man 2.

The kernel's calls stand under the names that libc's functions have, as the recorder's do: `sendto` without an address
is `send`, `recvfrom` without one `recv`; fork(2) is a `clone` that copies the memory. A struct sockaddr becomes an
`Endpoint`, an array of iovec the octets, a buffer that strace cut what it wrote of it: how many there were stands in
the length and in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.wire.strace_log import Logged
from rawlab.wire.strace_values import Descriptor, Text, Written

Args = tuple[tuple[str, Value], ...]
KEEP = 65_536
"octets of one call's data"
_LEVELS = {"SOL_TCP": "IPPROTO_TCP", "SOL_IP": "IPPROTO_IP", "SOL_IPV6": "IPPROTO_IPV6", "SOL_UDP": "IPPROTO_UDP"}
_EVENTS = {"EPOLLIN": "POLLIN", "EPOLLOUT": "POLLOUT", "EPOLLPRI": "POLLPRI", "EPOLLERR": "POLLERR"}
_EVENTS |= {"EPOLLHUP": "POLLHUP", "EPOLLRDHUP": "POLLRDHUP"}

FORKS = ("fork", "vfork", "clone", "clone3")
DUPS = ("dup", "dup2", "dup3")
POLLS = ("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2")
FOLLOWED = frozenset((*FORKS, *DUPS, *POLLS, "epoll_ctl", "close_range", "execve", "exit_group"))
"calls that are on no one socket, but without which it is not known whose a descriptor is"


def number(value: Written) -> int | None:
    """The integer that it is; a descriptor's."""
    return value.number if isinstance(value, Descriptor) else value if isinstance(value, int) else None


def endpoint(value: Written) -> Endpoint | None:
    """The address in a struct sockaddr of an Internet family, as accept's [{…}] too."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return None
    address = value.get("sin_addr", value.get("sin6_addr"))
    port = value.get("sin_port", value.get("sin6_port"))
    if not isinstance(address, str) or not isinstance(port, int) or not 0 <= port <= 0xFFFF:
        return None
    return Endpoint(address, port)


def octets(value: Written) -> bytes | None:
    """What a buffer holds, as far as it was written; None for a pointer."""
    return value.octets[:KEEP] if isinstance(value, Text) else None


def plain(value: Written) -> Value:
    """Any other argument, as it stands in a table."""
    match value:
        case Descriptor():
            return value.number
        case Text():
            return value.octets[:KEEP]
        case list():
            return tuple(plain(item) for item in value[:64])
        case dict():
            return endpoint(value) or tuple(plain(item) for item in list(value.values())[:64])
    return None if value == "NULL" else value


def _flags(value: Written) -> str:
    return str(plain(value))


def _fd(name: str = "sockfd") -> Callable[[Written], Args]:
    return lambda value: ((name, number(value)),)


def _iov(value: Written) -> tuple[bytes, ...]:
    """The octets of each struct iovec."""
    vectors = value if isinstance(value, list) else []
    found = (octets(one.get("iov_base", "NULL")) for one in vectors if isinstance(one, dict))
    return tuple(kept for kept in found if kept is not None)


def _value_of(value: Written) -> Value:
    """An option's value: [1] is the int, {l_onoff=1, l_linger=0} its members."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return plain(value)


def _addressed(a: Sequence[Written], call: Logged) -> Args:
    return (("sockfd", number(a[0])), ("addr", endpoint(a[1])))


def _accepted(a: Sequence[Written], call: Logged) -> Args:
    return (*_addressed(a, call), *((("flags", _flags(a[3])),) if len(a) > 3 else ()))


def _moved(first: str, size: str) -> Callable[[Sequence[Written], Logged], Args]:
    def args(a: Sequence[Written], call: Logged) -> Args:
        rest: Args = (("flags", _flags(a[3])),) if size == "len" else ()
        return ((first, number(a[0])), ("buf", octets(a[1])), (size, plain(a[2])), *rest)

    return args


def _message(a: Sequence[Written], call: Logged) -> Args:
    header = a[1] if isinstance(a[1], dict) else {}
    received = call.name == "recvmsg"
    control = plain(header.get("msg_control", "NULL"))
    told: Args = (("msg_flags", _flags(header.get("msg_flags", 0))),) if received else ()
    return (
        ("sockfd", number(a[0])),
        ("msg_name", endpoint(header.get("msg_name", "NULL"))),
        ("msg_iov", _iov(header.get("msg_iov", []))),
        ("msg_control", control if isinstance(control, tuple) else ()),
        *told,
        ("flags", _flags(a[2])),
    )


def messages(call: Logged) -> Iterator[tuple[Endpoint | None, tuple[bytes, ...], int]]:
    """(address, octets, how many were moved) of each message that sendmmsg(2) or recvmmsg(2) moved."""
    vector = call.args[1] if len(call.args) > 1 and isinstance(call.args[1], list) else []
    for one in vector[: max(call.result or 0, 0)]:
        header = one.get("msg_hdr") if isinstance(one, dict) else None
        if isinstance(one, dict) and isinstance(header, dict):
            moved = number(one.get("msg_len", 0)) or 0
            yield endpoint(header.get("msg_name", "NULL")), _iov(header.get("msg_iov", [])), moved


def _many(a: Sequence[Written], call: Logged) -> Args:
    told: tuple[Value, ...] = tuple((name, b"".join(iov), moved) for name, iov, moved in messages(call))
    return (("sockfd", number(a[0])), ("msgvec", told), ("vlen", plain(a[2])), ("flags", _flags(a[3])))


def _option(a: Sequence[Written], call: Logged) -> Args:
    level = str(plain(a[1]))
    return (
        ("sockfd", number(a[0])),
        ("level", _LEVELS.get(level, level)),
        ("optname", str(plain(a[2]))),
        ("optval", _value_of(a[3])),
    )


def _named(*names: str) -> Callable[[Sequence[Written], Logged], Args]:
    return lambda a, call: tuple((name, plain(value)) for name, value in zip(names, a, strict=False))


_ARGS: Mapping[str, tuple[int, Callable[[Sequence[Written], Logged], Args]]] = {
    "socket": (3, _named("domain", "type", "protocol")),
    "bind": (2, _addressed),
    "connect": (2, _addressed),
    "listen": (2, _named("sockfd", "backlog")),
    "accept": (2, _accepted),
    "accept4": (4, _accepted),
    "getsockname": (2, _addressed),
    "getpeername": (2, _addressed),
    "read": (3, _moved("fd", "count")),
    "write": (3, _moved("fd", "count")),
    "send": (4, _moved("sockfd", "len")),
    "recv": (4, _moved("sockfd", "len")),
    "sendmsg": (3, _message),
    "recvmsg": (3, _message),
    "sendmmsg": (4, _many),
    "recvmmsg": (4, _many),
    "readv": (3, lambda a, call: (("fd", number(a[0])), ("iov", _iov(a[1])), ("iovcnt", plain(a[2])))),
    "writev": (3, lambda a, call: (("fd", number(a[0])), ("iov", _iov(a[1])), ("iovcnt", plain(a[2])))),
    "sendfile": (4, _named("out_fd", "in_fd", "offset", "count")),
    "shutdown": (2, _named("sockfd", "how")),
    "close": (1, _named("fd")),
    "setsockopt": (4, _option),
    "getsockopt": (4, _option),
    "fcntl": (2, _named("fd", "cmd", "arg")),
    "ioctl": (2, lambda a, call: (("fd", number(a[0])), ("op", plain(a[1])), *_third(a))),
    "dup": (1, _named("oldfd")),
    "dup2": (2, _named("oldfd", "newfd")),
    "dup3": (3, _named("oldfd", "newfd", "flags")),
}
WANTED = FOLLOWED | _ARGS.keys() | {"sendto", "recvfrom"}
"the system calls that matter here"


def _third(a: Sequence[Written]) -> Args:
    return (("argp", _value_of(a[2])),) if len(a) > 2 else ()


def in_words(call: Logged) -> tuple[str, Args] | None:
    """(libc's name, the arguments with their names) of a call on one descriptor; None where it is none."""
    a = call.args
    if call.name in ("sendto", "recvfrom") and len(a) >= 4:
        return _sendto(call)
    wants, tell = _ARGS.get(call.name, (0, None))
    if tell is None or (len(a) < wants and call.result is not None):
        return None
    return call.name, tell([*a, *["NULL"] * (wants - len(a))], call)


def _sendto(call: Logged) -> tuple[str, Args]:
    """Without an address it is send or recv: libc has no other way to make those."""
    a = [*call.args, *["NULL"] * (6 - len(call.args))]
    sends = call.name == "sendto"
    moved = _moved("sockfd", "len")(a, call)
    if a[4] == "NULL" and (sends or a[5] == "NULL"):
        return "send" if sends else "recv", moved
    return call.name, (*moved, ("dest_addr" if sends else "src_addr", endpoint(a[4])))


def is_fork(call: Logged) -> bool:
    """Whether it makes a process, not a thread."""
    return call.name in FORKS and "CLONE_THREAD" not in str(call.args)


def fork_name(call: Logged) -> str:
    """'fork' for a clone(2) that copies the memory."""
    return "fork" if call.name in ("clone", "clone3") and "CLONE_VM" not in str(call.args) else call.name


def ready(call: Logged, of_epoll: Mapping[int, int]) -> tuple[tuple[int, str], ...]:
    """(descriptor, events) of what a call that waits found; `of_epoll`: epoll_ctl's data to its descriptor."""
    if call.name in ("poll", "ppoll"):
        pairs = call.found[0] if call.found and isinstance(call.found[0], list) else []
        read = [(number(one.get("fd", -1)), str(one.get("revents"))) for one in pairs if isinstance(one, dict)]
        return tuple((fd, events) for fd, events in read if fd is not None)
    if call.name in ("select", "pselect6"):
        return tuple(_selected(call.found))
    found = call.args[1] if len(call.args) > 1 and isinstance(call.args[1], list) else []
    return tuple(_epolled(found, of_epoll))


def _selected(found: Sequence[Written]) -> Iterator[tuple[int, str]]:
    """in [3 4], out [5]."""
    for word, fds in pairwise(found):
        events = {"in": "POLLIN", "out": "POLLOUT", "except": "POLLPRI"}.get(str(word))
        if events is not None and isinstance(fds, list):
            yield from ((fd, events) for fd in map(number, fds) if fd is not None)


def _epolled(found: Sequence[Written], of_epoll: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    for one in found:
        if isinstance(one, dict):
            events = str(one.get("events", one.get("0")))
            fd = of_epoll.get(epoll_data(one))
            if fd is not None:
                yield fd, "|".join(_EVENTS.get(word, word) for word in events.split("|"))


def epoll_data(event: Written) -> int:
    """The u64 of a struct epoll_event; -1 where there is none."""
    data = event.get("data", event.get("1")) if isinstance(event, dict) else None
    value = data.get("u64", data.get("u32")) if isinstance(data, dict) else None
    return value if isinstance(value, int) else -1
