"""SCTP's calls, made for real on a kernel that has it: what is recorded is what strace saw and the kernel says.

The programs check what each call gave (tests/sctp/programs.py); here their records are looked at.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rawlab import store
from rawlab.live import sctp_api
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.model.states import SCTP_TRANSITIONS, SctpState
from rawlab.wire import sctp_notification
from rawlab.wire.strace import parse_call
from tests.live.traces import Traced, traced
from tests.sctp.conftest import Inside
from tests.sctp.programs import PROGRAMS, SLOW_WIRES

STRACED = sorted(set(PROGRAMS) - set(SLOW_WIRES))
WITHIN = ("one_to_one", "one_to_many", "abort")
SYSTEM_CALLS = {"send": "sendto", "recv": "recvfrom"}
# Without -yy, which asks the kernel for each socket's protocol at each call.
STRACE = "strace -f -y -Y -ttt -s 300 -e trace=network,read,write,close -o"


@pytest.fixture(scope="module")
def records(inside: Inside, outputs: Path) -> Path:
    """A folder with each program's capture, and strace's output of all but the one that must not be slow."""
    folder, within = shlex.quote(str(outputs)), outputs / "within"
    within.mkdir()
    run = f"{sys.executable} -m tests.sctp.programs"
    strace = f"{STRACE} {folder}/strace" if shutil.which("strace") else ""
    done = inside(
        f"{strace} {run} {folder} without {' '.join(STRACED)} && {run} {folder} without {' '.join(SLOW_WIRES)} && "
        f"{run} {folder}/within within {' '.join(WITHIN)}"
    )
    assert done.returncode == 0, done.stderr
    return outputs


def calls_of(records: Path, program: str) -> list[Call]:
    timeline = store.load(records / f"{program}.pcapng")
    assert timeline.damaged_at is None
    return list(timeline.calls)


@pytest.mark.parametrize("program", STRACED)
def test_strace_saw_the_same(records: Path, program: str) -> None:
    """Name, order, descriptor, addresses, option structs, flags, result and errno of each call."""
    if not (records / "strace").exists():
        pytest.skip("not installed: strace")
    calls = calls_of(records, program)
    lines = list(of_the_program(traced(records / "strace", "client"), calls[0].pid))
    for call, line in zip(calls, lines, strict=True):
        assert SYSTEM_CALLS.get(call.name, call.name) == line.name
        assert (call.result, call.errno) == (line.result, line.errno), line.text
        words = list(words_of(call))
        assert all(word in line.text for word in words), (words, line.text)
        if call.name.endswith("sockopt") and call.errno is None and call.arg("optname") != "SO_LINGER":
            assert optval(call, line.text) == call.arg("optval"), line.text


def of_the_program(lines: list[Traced], pid: int) -> Iterator[Traced]:
    """From its first socket on, without the recorder's talk with the stage."""
    ours = [line for line in lines if line.pid == pid and "<pipe:" not in line.text]
    first = next(index for index, line in enumerate(ours) if line.name == "socket")
    yield from (line for line in ours[first:] if line.name not in ("rt_sigprocmask", "exit_group"))


def words_of(call: Call) -> Iterator[str]:
    """What strace's line must hold: it knows no struct of SCTP's, and shows ancillary data by its type alone."""
    for name, value in call.args:
        match name, value:
            case ("optval" | "msg_control"), _:
                pass
            case ("fd" | "sockfd"), int():
                yield f"({value}<" if call.errno != "EBADF" else f"({value}"
            case _, Endpoint():
                yield f"htons({value.port})"
                yield f'"{value.address}"'
            case "msg_flags", str():
                for word in value.split("|"):
                    yield "MSG_MORE" if word == "MSG_NOTIFICATION" else word  # the same bit, by its name in sends
            case _, str():
                yield from value.split("|")
    if call.name == "sendmsg":
        yield "cmsg_level=SOL_SCTP, cmsg_type=0x1}" if call.arg("msg_control") else "msg_controllen=0"


def optval(call: Call, text: str) -> Value:
    """The option's value in strace's line, by our own reading of its octets."""
    name = str(call.arg("optname"))
    if (number := re.search(r",\s*\[(-?\d+)\], \[?4\]?\)", text)) and call.arg("level") == "SOL_SCTP":
        return int(number[1])
    quoted = re.search(r'"(?:[^"\\]|\\.)*"', text)
    assert quoted, text
    (raw,) = parse_call(f"f({quoted[0]}) = 0")[1]
    assert isinstance(raw, bytes)
    if call.name == "getsockopt":
        return sctp_api.unpack(name, raw)
    given = call.arg("optval")
    assert isinstance(given, int | tuple)
    return given if raw == sctp_api.pack(name, given) else raw


def test_an_association_s_whole_life(records: Path) -> None:
    """The kernel's word at each call, from both ends: every state of RFC 9260, and no step that its figure lacks."""
    calls = calls_of(records, "life")
    seen: dict[int | None, list[str]] = {}
    for call in calls:
        states = seen.setdefault(call.new_socket or call.socket, ["CLOSED"])
        if call.state not in (None, states[-1]):
            states.append(str(call.state))
    ends = [states for states in seen.values() if len(states) > 1]
    assert [states[-1] for states in ends] == ["SHUTDOWN-SENT", "SHUTDOWN-ACK-SENT"]
    assert {state for states in ends for state in states} == set(SctpState)
    steps = {(str(state), str(after)) for (state, _), after in SCTP_TRANSITIONS.items()}
    # A cookie's echo makes the second end's association; SHUTDOWN with data still queued is PENDING first.
    assert {step for states in ends for step in pairwise(states)} <= steps


def test_states_of_one_to_one_sockets(records: Path) -> None:
    """CLOSED where they listen or have no association, by the kernel's word otherwise."""
    calls = calls_of(records, "one_to_one")
    by_name = {call.name: call for call in calls if call.name in ("bind", "listen", "connect", "accept", "shutdown")}
    assert {name: call.state for name, call in by_name.items() if name != "shutdown"} == {
        "bind": "CLOSED",
        "listen": "CLOSED",
        "connect": "ESTABLISHED",
        "accept": "ESTABLISHED",
    }
    assert by_name["shutdown"].state in ("SHUTDOWN-SENT", "CLOSED")
    refused = next(call for call in calls_of(records, "errors") if call.errno == "ECONNREFUSED")
    assert (refused.name, refused.state) == ("connect", "CLOSED")


def test_states_of_one_to_many_sockets(records: Path) -> None:
    """Told only where the socket has exactly one association."""
    calls = calls_of(records, "one_to_many")
    server = calls[0].new_socket
    assert {call.state for call in calls if call.socket == server and call.name == "recvmsg"} <= {None, "ESTABLISHED"}
    sent = [call.state for call in calls if call.name == "sendmsg" and call.fd in (4, 5, 6)][:3]
    assert sent == ["ESTABLISHED"] * 3


@pytest.mark.parametrize("program", WITHIN)
def test_observed_from_within(records: Path, program: str) -> None:
    """Where the stage may not look into the process, the recorder asks the kernel itself, and sees the same."""

    def told(calls: list[Call]) -> list[tuple[object, ...]]:
        ending = ("shutdown", "sendmsg")  # the peer's answer may be there, or not yet
        return [(call.name, call.result, call.name not in ending and call.state) for call in calls]

    assert told(calls_of(records / "within", program)) == told(calls_of(records, program))


def test_a_peeled_off_socket_is_a_new_one(records: Path) -> None:
    """sctp_peeloff(3) is a getsockopt that makes a socket, with the association's addresses and state."""
    calls = calls_of(records, "one_to_many")
    (peeled,) = (call for call in calls if ("optname", "SCTP_SOCKOPT_PEELOFF") in call.args)
    (asked,) = (call for call in calls if call.name == "getpeername")
    assert peeled.new_socket is not None
    assert peeled.new_socket == asked.socket != peeled.socket
    assert (peeled.result, peeled.state, peeled.peer) == (asked.fd, "ESTABLISHED", asked.arg("addr"))


def test_ancillary_data_by_names(records: Path) -> None:
    """What is not zero of struct sctp_sndrcvinfo, as sent and as received."""
    controls = [call.arg("msg_control") for call in calls_of(records, "one_to_one") if call.name.endswith("msg")]
    assert controls[0] == ("SCTP_SNDRCV", "sinfo_stream=2", "sinfo_ppid=7")
    assert controls[1] == ("SCTP_SNDRCV", "sinfo_stream=1", "sinfo_flags=SCTP_UNORDERED", "sinfo_ppid=4294967295")
    third = controls[4]
    assert isinstance(third, tuple)
    assert third[:3] == controls[0]
    assert [str(word).partition("=")[0] for word in third[3:]] == ["sinfo_tsn", "sinfo_assoc_id"]


def test_notifications_in_words(records: Path) -> None:
    """Of what the kernel itself wrote: all that a one-to-many server is told."""
    told = [
        sctp_notification.words(call.data or b"")
        for call in calls_of(records, "one_to_many")
        if call.name == "recvmsg" and "MSG_NOTIFICATION" in str(call.arg("msg_flags"))
    ]
    assert None not in told
    plain = [re.sub(r"assoc \d+", "assoc N", str(words)) for words in told]
    assert plain[:3] == ["SCTP_ASSOC_CHANGE: SCTP_COMM_UP, 10 streams out, 10 in, assoc N"] * 3
    assert set(plain[3:]) == {
        "SCTP_SENDER_DRY_EVENT: assoc N",
        "SCTP_SHUTDOWN_EVENT: assoc N",
        "SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP, assoc N",
        "SCTP_ASSOC_CHANGE: SCTP_COMM_LOST, error 12, assoc N",
    }


def test_errors_by_name(records: Path) -> None:
    """A call that fails is told by errno's name."""
    failed = [(call.name, call.errno) for call in calls_of(records, "errors") if call.errno]
    assert failed == [
        ("connect", "ECONNREFUSED"),
        ("write", "ECONNREFUSED"),
        ("getsockopt", "EINVAL"),
        ("bind", "EINVAL"),
        ("bind", "EADDRINUSE"),
        ("accept", "EINVAL"),
        ("setsockopt", "EINVAL"),
        ("accept", "EOPNOTSUPP"),
        ("getsockopt", "EINVAL"),
        ("socket", "EPROTONOSUPPORT"),
    ]
    aborted = [(call.name, call.errno) for call in calls_of(records, "abort") if call.errno]
    assert aborted == [("write", "ECONNRESET")]
