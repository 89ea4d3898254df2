"""`Calls` on our own SCTP: what programs get back, and what is recorded of it, is as with a kernel's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rawlab import store
from rawlab.model.event import Call
from rawlab.wire.strace import format_call
from tests.live import runs
from tests.live.stacked import PROGRAMS, THEIRS


def recorded(folder: Path, program: str) -> list[Call]:
    """The calls of one of the programs, which must end well."""
    runs.need_networks()
    file = folder / f"{program}.pcapng"
    command = [sys.executable, "-m", "tests.live.stacked", program, str(file)]
    done = subprocess.run(command, cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    timeline = store.load(file)
    assert timeline.damaged_at is None
    return list(timeline.calls)


@pytest.mark.parametrize("program", [*PROGRAMS, *THEIRS])
def test_programs_get_what_they_expect(folder: Path, program: str) -> None:
    """Each asserts what its calls return (tests/live/stacked.py); every call is recorded, and has returned."""
    calls = recorded(folder, program)
    assert calls
    assert all(call.returned_ns is not None or call.name == "exit_group" for call in calls)


def test_a_kernel_s_sctp_gives_the_same(folder: Path) -> None:
    """The same programs, with the same expectations and the same records, on a user-mode Linux kernel's SCTP."""
    runs.need("linux.uml", "ip", "modprobe")
    each = f"{sys.executable} -m tests.live.stacked $program {folder}/$program.kernel kernel || echo $program"
    loop = f"for program in {' '.join(PROGRAMS)}; do {each}; done"
    done = subprocess.run(
        ["scripts/uml", "bash", "-c", loop], cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    for program in PROGRAMS:
        theirs = shown(list(store.load(folder / f"{program}.kernel").calls))
        assert shown(recorded(folder, program)) == theirs, program


def shown(calls: list[Call]) -> list[str]:
    """The calls of each process in turn, without what is drawn or measured anew: ports, TSNs, pids, ids, windows.

    Nor with states: the kernel's packets on loopback arrive before the call that sent them returns.
    """
    ordered = sorted(calls, key=lambda call: (call.pid, call.entered_ns))
    lines = [f"{format_call(call)}, {call.local}, {call.peer}" for call in ordered]
    drawn = r":\d{4,5}\b|(?<=tsn=)\d+|(?<=assoc_id=)\d+|(?<=fork\(\) = )\d+|(?<=wait4\(-1\) = )\d+"
    drawn += r'|(?<=PEELOFF, \[)\d+|(?<=SCTP_STATUS, ).*|\\x\w\w(?=\\x00\\x00\\x00"\])'
    return [re.sub(drawn, "…", line) for line in lines]


def test_a_message_is_recorded_in_the_words_of_the_kernel_s(folder: Path) -> None:
    """With stream, flags, address and the part that was taken."""
    lines = [format_call(call) for call in recorded(folder, "messages")]
    ancillary = "[SCTP_SNDRCV, sinfo_stream=3, sinfo_flags=SCTP_UNORDERED, sinfo_ppid=7]"
    assert f'sendmsg(4, NULL, ["by ", "send", "msg"], {ancillary}, 0) = 10' in lines
    assert 'write(5, "late", 4) = -1 EPIPE (Broken pipe)' in lines
    assert 'recv(5, "by ", 3, MSG_PEEK) = 3' in lines


def test_a_forked_child_s_calls_are_of_the_same_socket(folder: Path) -> None:
    """By its number, in both processes."""
    calls = recorded(folder, "forks")
    (accepted,) = (call.new_socket for call in calls if call.name == "accept")
    (write,) = (call for call in calls if call.name == "write")
    assert write.socket == accepted
    assert write.pid != calls[0].pid
