"""strace's own notation, line by line: what each says, and that no line does harm."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from rawlab.model.address import Endpoint
from rawlab.model.traced import TracedCall
from rawlab.wire.strace_calls import WANTED
from rawlab.wire.strace_log import MAX_LINE, Log, Logged, Reader, bounded
from rawlab.wire.strace_sockets import Following
from rawlab.wire.strace_values import Descriptor, Text, arguments

AT = 1_700_000_000 * 10**9
DAY = 86_400 * 10**9


def read(*lines: str) -> Log:
    return Reader("log", WANTED).read(f"{line}\n".encode("latin-1") for line in lines)


def one(*lines: str) -> Logged:
    (call,) = read(*lines).calls
    return call


def follow(lines: Iterable[str]) -> list[TracedCall]:
    return Following().follow(read(*lines).calls)


# ------------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('3<TCP:[1.2.3.4:5->6.7.8.9:10]>, "x")', [Descriptor(3, "TCP:[1.2.3.4:5->6.7.8.9:10]"), Text(b"x", False)]),
        ("1</dev/pts/0<char 136:0>>, 2)", [Descriptor(1, "/dev/pts/0<char 136:0>"), 2]),
        (r'"\x68\151\0\n\"\\\377"...)', [Text(b'hi\0\n"\\\xff', True)]),
        ("[128 => 16], NULL, -1)", [[128, 16], "NULL", -1]),
        ('{sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("1.2.3.4")})',
         [{"sa_family": "AF_INET", "sin_port": 7, "sin_addr": "1.2.3.4"}]),
        ('{sa_family=AF_INET6, sin6_port=htons(7), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr)})',
         [{"sa_family": "AF_INET6", "sin6_port": 7, "sin6_flowinfo": 0, "sin6_addr": "::1"}]),
        ("child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD)", ["NULL", "CLONE_CHILD_SETTID|SIGCHLD"]),
        ("~[RTMIN RT_1], 0x7f /* comment */)", ["~", ["RTMIN", "RT_1"], 127]),
    ],
)  # fmt: skip
def test_arguments_are_values(text: str, expected: list[object]) -> None:
    """Descriptors with what -y says of them, strings with C's escapes, structs, arrays, symbols."""
    values, end = arguments(text, 0)
    assert (values, end) == (expected, len(text))


@pytest.mark.parametrize("text", ['"open', "[1, 2", "{a=1", "[1}", "(" * 40 + ")" * 40, "", "\x00", '"\\'])
def test_what_is_no_argument_is_an_error_with_its_column(text: str) -> None:
    """Never another exception, however it is nested or broken off."""
    with pytest.raises(ValueError, match="column"):
        arguments(text, 0)


# ------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize(
    ("line", "pid", "entered_ns"),
    [
        ("1700000000.000001 close(3) = 0", 0, AT + 1000),
        ("1700000000.000000001 close(3) = 0", 0, AT + 1),
        ("42  1700000000.000001 close(3) = 0", 42, AT + 1000),
        ("42<nc> 1700000000.000001 close(3) = 0", 42, AT + 1000),
        ("[pid    42] 1700000000.000001 close(3) = 0", 42, AT + 1000),
        ("42 12:00:01.000002 close(3) = 0", 42, 43_201_000_002_000),
        ("12:00:01 close(3) = 0", 0, 43_201_000_000_000),
        ("42 1700000000.000001 (+     0.000123) close(3) = 0", 42, AT + 1000),
        ("42 1700000000.000001 [   3] close(3) = 0", 42, AT + 1000),
    ],
)
def test_process_and_time_stand_in_front(line: str, pid: int, entered_ns: int) -> None:
    """As -o, -f, -t, -tt, -ttt, -r with -ttt, --decode-pids and -n have them."""
    call = one(line)
    assert (call.pid, call.entered_ns, call.name) == (pid, entered_ns, "close")


@pytest.mark.parametrize(
    ("end", "result", "errno"),
    [
        ("= 0", 0, None),
        ("= -1 EAGAIN (Resource temporarily unavailable)", -1, "EAGAIN"),
        ("= ? ERESTARTSYS (To be restarted if SA_RESTART is set)", None, None),
        ("= 5<TCP:[127.0.0.1:7->127.0.0.1:40000]> <0.000010>", 5, None),
        ("= 4 /* 712 in strace's PID NS */", 712, None),
        ("= 0x10", 16, None),
    ],
)
def test_results(end: str, result: int | None, errno: str | None) -> None:
    """A number, a descriptor, an error by its name, none for a call that is to be restarted."""
    call = one(f"1 1700000000.000001 accept(3, NULL, NULL) {end}")
    assert (call.result, call.errno) == (result, errno)
    assert (call.made is not None) == ("TCP" in end)


def test_the_two_halves_of_a_call_are_one() -> None:
    """<unfinished ...> and <... resumed>: entered with the first, returned with the second, of each process its own."""
    log = read(
        "1 1700000000.000001 read(3,  <unfinished ...>",
        "2 1700000000.000002 read(3,  <unfinished ...>",
        '1 1700000000.000005 <... read resumed>"a", 10) = 1',
        '2 1700000000.000007 <... read resumed> "bc", 10) = 2 <0.000005>',
    )
    assert [(call.pid, call.result, call.args[1]) for call in log.calls] == [
        (1, 1, Text(b"a", False)),
        (2, 2, Text(b"bc", False)),
    ]
    assert [(call.entered_ns - AT, call.returned_ns) for call in log.calls] == [
        (1000, AT + 5999),
        (2000, AT + 7999),
    ]


def test_a_return_that_nobody_tells_is_the_next_lines_beginning() -> None:
    """Of the same thread; a signal, an exit count as lines; with -T the call's own duration tells."""
    log = read(
        "1 1700000000.000001 close(3) = 0",
        "2 1700000000.000002 close(3) = 0 <0.000004>",
        "1 1700000000.000009 --- SIGCHLD {si_signo=SIGCHLD} ---",
        "1 1700000000.000020 +++ exited with 0 +++",
    )
    assert [(call.returned_ns or 0) - AT for call in log.calls] == [19_999, 7_999]
    assert log.ended == {1: AT + 20_000}


def test_a_day_ends_within_a_log() -> None:
    """Times of the day that fall by half a day are the next day's."""
    log = read("23:59:59.9 close(3) = 0", "00:00:00.1 close(4) = 0")
    assert log.of_day
    assert log.calls[1].entered_ns - log.calls[0].entered_ns == 200_000_000


def test_a_line_that_is_too_long_is_counted_and_left_out() -> None:
    """It comes in pieces of MAX_LINE, none of which is kept."""
    first = b"1 1700000000.0 write(3, "
    pieces = [first.ljust(MAX_LINE, b"x"), b"y" * MAX_LINE, b"z\n", b"1 1700000000.1 close(3) = 0\n"]
    log = Reader("log", WANTED).read(bounded(iter(pieces)))
    assert (log.lines, log.too_long, len(log.calls)) == (2, 1, 1)


# --------------------------------------------------------------------------------------------- following


def test_a_socket_is_followed_by_its_descriptors() -> None:
    """dup, fork and accept without -yy: the same socket has the same number, another one another."""
    lines = [
        "1 1700000000.000001 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
        '1 1700000000.000002 bind(3, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("10.0.0.2")}, 16) = 0',
        "1 1700000000.000003 listen(3, 5) = 0",
        "1 1700000000.000004 dup(3) = 9",
        '1 1700000000.000005 accept(9, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.1")},'
        " [16]) = 4",
        "1 1700000000.000006 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2",
        "1 1700000000.000007 close(4) = 0",
        '2 1700000000.000008 write(4, "hi"..., 20) = 20',
        "2 1700000000.000009 exit_group(0) = ?",
        '1 1700000000.000010 read(4, "a file", 10) = 6',
    ]
    told = follow(lines)
    assert [call.name for call in told] == [
        "socket", "bind", "listen", "dup", "accept", "fork", "close", "write", "exit_group",
    ]  # fmt: skip
    listening, made = told[0].new_socket, told[4].new_socket
    assert [call.socket for call in told[1:5]] == [listening] * 4
    assert [call.socket for call in told[6:8]] == [made] * 2
    assert made != listening
    assert told[7].args == (("fd", 4), ("buf", b"hi"), ("count", 20))
    place = told[4].new_place
    assert place is not None
    assert place.peer == Endpoint("10.0.0.1", 9)


def test_what_is_no_internet_socket_is_left_out() -> None:
    """Files, pipes, AF_UNIX; and a number that such a one had before."""
    lines = [
        "1 1700000000.000001 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3<UDP:[77]>",
        "1 1700000000.000002 close(3<UDP:[77]>) = 0",
        '1 1700000000.000003 write(3</tmp/log>, "x", 1) = 1',
        "1 1700000000.000004 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[78]>",
        '1 1700000000.000005 sendto(3<UNIX-STREAM:[78]>, "x", 1, 0, NULL, 0) = 1',
    ]
    told = follow(lines)
    assert [(call.name, call.socket or call.new_socket) for call in told] == [("socket", 77), ("close", 77)]


def test_straces_own_word_wins() -> None:
    """A descriptor whose connection is another than the one followed is another socket."""
    lines = [
        "1 1700000000.000001 recvfrom(3<TCP:[10.0.0.1:5->10.0.0.2:7]>, \"a\", 9, 0, NULL, NULL) = 1",
        "1 1700000000.000002 recvfrom(3<TCP:[10.0.0.1:6->10.0.0.2:7]>, \"b\", 9, 0, NULL, NULL) = 1",
        "1 1700000000.000003 recvfrom(3<TCPv6:[[fd00::1]:6->[fd00::2]:7]>, \"c\", 9, 0, NULL, NULL) = 1",
    ]
    told = follow(lines)
    assert len({call.socket for call in told}) == 3
    assert {call.name for call in told} == {"recv"}
    assert [call.place.local for call in told if call.place] == [
        Endpoint("10.0.0.1", 5), Endpoint("10.0.0.1", 6), Endpoint("fd00::1", 6),
    ]  # fmt: skip


def test_threads_share_a_table_and_a_process() -> None:
    """clone with CLONE_THREAD: the other thread closes what the first opened."""
    lines = [
        "1 1700000000.000001 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
        "1 1700000000.000002 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, stack=0x7f}, 88) = 2",
        "2 1700000000.000003 close(3) = 0",
    ]
    told = follow(lines)
    assert [(call.name, call.pid) for call in told] == [("socket", 1), ("close", 1)]
    assert told[0].new_socket == told[1].socket


# ----------------------------------------------------------------------------------------------- hostile

SEED = [
    b"1 1700000000.000001 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3<TCP:[77]> <0.000010>",
    b"1 1700000000.000002 connect(3<TCP:[77]>, {sa_family=AF_INET, sin_port=htons(7), "
    b'sin_addr=inet_addr("1.2.3.4")}, 16) = 0',
    b'1 1700000000.000003 sendto(3<TCP:[1.2.3.5:9->1.2.3.4:7]>, "\\x68\\151"..., 90, MSG_NOSIGNAL, NULL, 0) = 90',
    b"1 1700000000.000004 poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])",
    b'1 1700000000.000005 recvmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="a", iov_len=9}], '
    b"msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 1",
    b"1 1700000000.000006 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2",
    b"2 1700000000.000007 epoll_ctl(5, EPOLL_CTL_ADD, 3, {events=EPOLLIN, data={u32=3, u64=3}}) = 0",
    b"2 1700000000.000008 epoll_wait(5, [{events=EPOLLIN, data={u32=3, u64=3}}], 9, -1) = 1",
    b"1 1700000000.000009 read(3,  <unfinished ...>",
    b"2 1700000000.000010 exit_group(0) = ?",
    b'1 1700000000.000011 <... read resumed>"b", 9) = 1',
]  # fmt: skip
PIECES = [bytes([octet]) for octet in b"<>[]{}()\"\\\0\xff-"] + [b"9" * 30, b"= ", b"/*", b"..."]


def test_ten_thousand_mutated_logs_bring_nothing_but_calls() -> None:
    """Octets changed, cut out, doubled, put in: whatever a line says, it is a call, or counted, or passed over."""
    chance = random.Random(7)
    for _ in range(10_000):
        lines = chance.sample(SEED, 2)
        number = chance.randrange(len(lines))
        line = bytearray(lines[number])
        for _ in range(chance.randint(1, 4)):
            at, to = sorted(chance.randrange(len(line) + 1) for _ in range(2))
            match chance.randrange(3):
                case 0:
                    line[at : at + 1] = chance.choice(PIECES)
                case 1:
                    line[at:to] = b""
                case _:
                    line[at:at] = line[at:to]
        lines[number] = bytes(line)
        log = Reader("log", WANTED).read(lines)
        for call in Following().follow(log.calls):
            assert call.returned_ns is None or call.returned_ns >= call.entered_ns


ENDLESS = [b'"', b'"\\', b"[", b"{a=", b"(", b"3<", b"<a", b"/*", b"/* */ ", b"a|", b"9", b"\\x", b"1 "]


@pytest.mark.parametrize("piece", ENDLESS)
def test_a_line_of_one_thing_without_end_is_passed_over(piece: bytes) -> None:
    """However long it is within its bound, and whatever it opens and never closes."""
    line = b"1 1700000000.000001 sendto(3, " + piece * ((MAX_LINE - 64) // len(piece))
    log = Reader("log", WANTED).read([line, b"1 1700000000.000002 close(3) = 0"])
    assert [call.name for call in log.calls if call.result is not None] == ["close"]
