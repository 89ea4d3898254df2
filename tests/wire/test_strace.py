"""Calls in strace's words: written, read back, and held against what strace itself writes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.wire.errnos import ERRNOS
from rawlab.wire.strace import format_call, format_entry, format_resumed, format_value, parse_call
from tests.wire.frames import tool
from tests.wire.values import BYTES, calls

SERVER = Endpoint("10.0.0.2", 7)


def call(name: str, *args: tuple[str, Value], result: int | None = 0, errno: str | None = None) -> Call:
    returned_ns = None if result is None else 2
    return Call(
        host="client", pid=1, name=name, args=args, result=result, errno=errno, entered_ns=1, returned_ns=returned_ns
    )


CONNECT = call("connect", ("sockfd", 3), ("addr", SERVER))
READ = call("read", ("fd", 3), ("buf", b"hello"), ("count", 9), result=5)
RECVMSG = call(
    "recvmsg",
    ("sockfd", 3),
    ("msg_name", SERVER),
    ("msg_iov", (b"hello",)),
    ("msg_control", ("SCTP_SNDRCV", "sinfo_assoc_id=-1")),
    ("msg_flags", "MSG_EOR"),
    ("flags", "MSG_PEEK"),
    result=5,
)
ACCEPT = call("accept", ("sockfd", 3), ("addr", Endpoint("fd00::1", 40000)), result=4)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (CONNECT, "connect(3, 10.0.0.2:7) = 0"),
        (
            replace(CONNECT, result=-1, errno="ECONNREFUSED"),
            "connect(3, 10.0.0.2:7) = -1 ECONNREFUSED (Connection refused)",
        ),
        (replace(CONNECT, result=-1, errno="EODD"), "connect(3, 10.0.0.2:7) = -1 EODD"),
        (READ, 'read(3, "hello", 9) = 5'),
        (ACCEPT, "accept(3, [fd00::1]:40000) = 4"),
        (
            call("poll", ("fds", ((3, "POLLIN|POLLHUP"),)), ("timeout", -1), result=1),
            "poll([{fd=3, events=POLLIN|POLLHUP}], 1, -1) = 1",
        ),
        (
            call(
                "poll",
                ("fds", ((3, "POLLIN"), (4, "POLLPRI"))),
                ("timeout", 5),
                ("ready", ((3, "POLLIN"),)),
                result=1,
            ),
            "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLPRI}], 2, 5) = 1 ([{fd=3, revents=POLLIN}])",
        ),
        (
            call("poll", ("fds", ((3, "POLLIN"),)), ("timeout", 50), ("ready", ()), result=0),
            "poll([{fd=3, events=POLLIN}], 1, 50) = 0 (Timeout)",
        ),
        (
            replace(call("poll", ("fds", ((3, "POLLIN"),)), ("timeout", 50)), result=-1, errno="EINTR"),
            "poll([{fd=3, events=POLLIN}], 1, 50) = -1 EINTR (Interrupted system call)",
        ),
        (
            call("recv", ("sockfd", 3), ("buf", None), ("len", 9), ("flags", "MSG_PEEK")),
            "recv(3, NULL, 9, MSG_PEEK) = 0",
        ),
        (call("sendmsg", ("sockfd", 3), ("msg_iov", (b"a", b"")), result=1), 'sendmsg(3, ["a", ""]) = 1'),
        (
            call(
                "sendmsg",
                ("sockfd", 3),
                ("msg_name", None),
                ("msg_iov", (b"hello",)),
                ("msg_control", ("SCTP_SNDRCV", "sinfo_stream=1", "sinfo_flags=SCTP_UNORDERED")),
                ("flags", "MSG_NOSIGNAL"),
                result=5,
            ),
            'sendmsg(3, NULL, ["hello"], [SCTP_SNDRCV, sinfo_stream=1, sinfo_flags=SCTP_UNORDERED], MSG_NOSIGNAL) = 5',
        ),
        (
            call("setsockopt", ("sockfd", 3), ("optname", "SCTP_SOCKOPT_BINDX_ADD"), ("optval", (SERVER, SERVER))),
            "setsockopt(3, SCTP_SOCKOPT_BINDX_ADD, [10.0.0.2:7, 10.0.0.2:7]) = 0",
        ),
        (
            call("socket", ("domain", "AF_PACKET"), ("type", "SOCK_DGRAM"), ("protocol", "htons(ETH_P_IP)"), result=3),
            "socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)) = 3",
        ),
        (call("nanosleep", ("req", "0.5s")), "nanosleep(0.5s) = 0"),
        (call("fork", result=23), "fork() = 23"),
    ],
)
def test_a_call_in_strace_s_words(one: Call, text: str) -> None:
    """As strace writes it, but that an address stands as address:port."""
    assert format_call(one) == text
    assert parse_call(text) == (one.name, tuple(value for _, value in one.args), one.result, one.errno)


@given(calls().filter(lambda call: call.returned_ns is not None))
def test_what_was_written_is_read(one: Call) -> None:
    """Name, values, result and errno, whatever the octets in the strings say."""
    text = format_call(one)
    assert parse_call(text) == (one.name, tuple(value for _, value in one.args), one.result, one.errno)


@given(calls())
def test_no_call_leaves_printable_ascii(one: Call) -> None:
    """Whatever a payload holds: no control character, no escape sequence and no bidi mark reaches a terminal."""
    for text in (format_call(one), format_entry(one), format_resumed(one), format_call(one, 3)):
        assert re.fullmatch(r"[ -~]*", text)


@given(BYTES, st.integers(0, 50))
def test_a_string_is_cut_at_so_many_octets(data: bytes, size: int) -> None:
    """And says so by three dots outside the quotes, as strace does; the cut never splits an escape."""
    text = format_value(data, size)
    assert text.endswith('"...') == (len(data) > size)
    assert parse_call(f"f({text.removesuffix('...')}) = 0")[1] == (data[:size],)


@pytest.mark.parametrize(
    ("one", "entry", "resumed"),
    [
        (CONNECT, "connect(3, 10.0.0.2:7 <unfinished ...>", "<... connect resumed>) = 0"),
        (READ, "read(3, <unfinished ...>", '<... read resumed>"hello", 9) = 5'),
        (
            RECVMSG,
            "recvmsg(3, <unfinished ...>",
            '<... recvmsg resumed>10.0.0.2:7, ["hello"], [SCTP_SNDRCV, sinfo_assoc_id=-1], MSG_EOR, MSG_PEEK) = 5',
        ),
        (ACCEPT, "accept(3, <unfinished ...>", "<... accept resumed>[fd00::1]:40000) = 4"),
        (call("fork", result=23), "fork( <unfinished ...>", "<... fork resumed>) = 23"),
        (
            call("exit_group", ("status", 0), result=None),
            "exit_group(0 <unfinished ...>",
            "<... exit_group resumed>) = ?",
        ),
    ],
)
def test_a_call_in_two_parts(one: Call, entry: str, resumed: str) -> None:
    """Up to the first argument that the kernel fills in, and from there on."""
    assert format_entry(one) == entry
    assert format_resumed(one) == resumed


def test_a_call_that_did_not_return_is_written_as_far_as_it_is_known() -> None:
    """A killed run's last line."""
    assert format_call(replace(READ, returned_ns=None, result=None)) == "read(3, <unfinished ...>"


@given(calls())
def test_the_two_parts_make_the_whole(one: Call) -> None:
    """The entry without its mark, and the rest without its: together they are the call."""
    if one.returned_ns is not None:
        entry = format_entry(one).removesuffix("<unfinished ...>").removesuffix(" ")
        rest = format_resumed(one).removeprefix(f"<... {one.name} resumed>")
        gap = " " if entry.endswith(",") else ""
        assert entry + gap + rest == format_call(one)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected name"),
        ("connect(3)", "expected name"),
        ("connect(3, what?) = 0", "at column 16: expected an argument, came '?'"),
        ('read(3, "hel"..., 9) = 5', "expected an argument, came '..., 9"),
        ('read(3, "open) = 5', "expected an argument, came '\"open'"),
        ("poll([[3, POLLIN]) = 0", "expected an argument"),
        ("close(3]) = 0", "expected an argument, came ']'"),
        (r'write(3, "\q", 1) = 1', r"expected an escape of C's, came '\q'"),
        (r'write(3, "\xg0", 1) = 1', r"expected an escape of C's, came '\x'"),
    ],
)
def test_what_is_no_call_is_refused_with_the_place(text: str, message: str) -> None:
    """ValueError, and nothing else."""
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_call(text)


@given(st.text(alphabet='abc(),"\\x0[]|=-?: \n', max_size=40))
def test_any_text_is_a_call_or_is_refused(text: str) -> None:
    """No text raises anything but ValueError."""
    with contextlib.suppress(ValueError):
        parse_call(f"f({text}) = 0")


# ------------------------------------------------------------------------------------ against strace itself


@pytest.mark.parametrize("name", ERRNOS)
def test_an_errno_s_number_and_words_are_the_system_s(name: str) -> None:
    """ERRNOS holds Linux's numbers and glibc's words."""
    import errno

    number, words = ERRNOS[name]
    assert getattr(errno, name) == number
    assert os.strerror(number) == words


PROGRAM = r"""
import ctypes, os, socket
libc = ctypes.CDLL(None)
address = bytes.fromhex("0200 0001 7f000001") + bytes(8)  # port 1: nobody listens there
fd = libc.socket(2, 1, 0)
libc.connect(fd, address, 16)
libc.listen(-1, 5)
libc.shutdown(fd, 1)
one, other = socket.socketpair()
for data in (b"hello", b'quote " and \\', b"\n\t\r\v\f", b"\0", b"\x001", b"\x1b[31m\xff\x80", b"x" * 40):
    libc.write(one.fileno(), data, len(data))
    libc.read(other.fileno(), ctypes.create_string_buffer(64), 64)
libc.close(fd)
"""


@pytest.fixture(scope="module")
def straced(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What strace writes of PROGRAM, whose calls begin at its first socket(); skips where it may not trace."""
    log = tmp_path_factory.mktemp("strace") / "log"
    names = "socket,connect,listen,shutdown,read,write,close"
    command = [tool("strace"), "-o", str(log), "-e", f"trace={names}", sys.executable, "-I", "-c", PROGRAM]
    run = subprocess.run(command, capture_output=True, text=True)
    if "ptrace" in run.stderr or not Path(log).exists():
        pytest.skip(f"strace may not trace here: {run.stderr.strip()}")
    lines = log.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("socket(AF_INET"))
    last = next(n for n, line in enumerate(lines) if n > first and line.startswith("close("))
    return [re.sub(r" +=", " =", line) for line in lines[first : last + 1]]


def test_errors_are_written_as_strace_does(straced: list[str]) -> None:
    """What stands behind the '=', word for word."""
    refused = call("connect", ("sockfd", 3), ("addr", Endpoint("127.0.0.1", 1)), result=-1, errno="ECONNREFUSED")
    told = [line.partition(" = ")[2] for line in straced if " = -1 " in line]
    assert told == [
        format_call(refused).partition(" = ")[2],
        format_call(call("listen", ("sockfd", -1), ("backlog", 5), result=-1, errno="EBADF")).partition(" = ")[2],
        format_call(call("shutdown", ("sockfd", 3), ("how", "SHUT_WR"), result=-1, errno="ENOTCONN")).partition(" = ")[
            2
        ],
    ]


def test_calls_are_written_as_strace_does(straced: list[str]) -> None:
    """socket, listen, shutdown and close whole; reads and writes of printable octets, and the cut at 32."""
    fd = int(straced[0].rpartition(" ")[2])
    socket = call("socket", ("domain", "AF_INET"), ("type", "SOCK_STREAM"), ("protocol", "IPPROTO_IP"), result=fd)
    assert straced[0] == format_call(socket)
    assert straced[2].startswith("listen(-1, 5) = ")
    assert straced[3].startswith(f"shutdown({fd}, SHUT_WR) = ")
    assert straced[-1] == format_call(call("close", ("fd", fd)))
    one = int(re.findall(r"write\((\d+),", "\n".join(straced))[0])
    for data in (b"hello", b'quote " and \\', b"\n\t\r\v\f", b"x" * 40):
        write = call("write", ("fd", one), ("buf", data), ("count", len(data)), result=len(data))
        assert format_call(write, 32) in straced


def test_strace_s_own_lines_are_read(straced: list[str]) -> None:
    """Octal escapes too, which strace prefers and we do not write."""
    read = [parse_call(line) for line in straced if line.startswith("write(") and "..." not in line]
    assert [values[1] for _, values, _, _ in read] == [
        b"hello",
        b'quote " and \\',
        b"\n\t\r\v\f",
        b"\0",
        b"\x001",
        b"\x1b[31m\xff\x80",
    ]
    assert all(result == len(values[1]) == values[2] for _, values, result, _ in read if isinstance(values[1], bytes))


def test_a_buffer_of_which_less_was_kept_is_shown_as_cut() -> None:
    """As strace's own: '...' behind what there is, whatever the width asked for; a whole one has none."""
    args = (("fd", 3), ("buf", b"hel"), ("count", 5))
    call = Call(host="client", pid=1, name="write", args=args, result=5, entered_ns=1, returned_ns=2)
    assert format_call(call) == 'write(3, "hel"..., 5) = 5'
    assert format_call(replace(call, name="read", result=3)) == 'read(3, "hel", 5) = 3'


def test_what_select_found_stands_behind_its_result() -> None:
    """As strace writes it: in, out, except."""
    args = (("nfds", 6), ("readfds", (3, 5)), ("writefds", (4,)), ("exceptfds", None), ("timeout", None))
    found = (("ready", ((3, "POLLIN"), (5, "POLLIN"), (4, "POLLOUT"))),)
    call = Call(host="client", pid=1, name="select", args=args + found, result=3, entered_ns=1, returned_ns=2)
    assert format_call(call) == "select(6, [3, 5], [4], NULL, NULL) = 3 (in [3 5], out [4])"
    assert format_call(replace(call, args=(*args, ("ready", ())), result=0)).endswith("= 0 (Timeout)")
