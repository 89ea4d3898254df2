"""strace as a witness: the calls of the table are those that the lab's processes made, and all of them."""

from __future__ import annotations

from collections import defaultdict

import pytest

from rawlab import labs
from rawlab.wire.strace import format_call
from tests.labs.runs import NAMES, SCTP, Run, parameters
from tests.labs.witness import socket_calls

# Of our own SCTP and TCP the kernel sees the calls on raw and packet sockets alone: tests/live have strace as witness.
# Of the kernel's SCTP, tests/sctp have.
THE_KERNELS = [name for name in NAMES if name not in SCTP and not labs.lab(name).own_tcp]
NO_SOCKET = ("fork", "wait4", "nanosleep", "exit_group")


@pytest.mark.parametrize("run", parameters(THE_KERNELS, strace=True), indirect=True)
def test_the_table_has_the_socket_calls_that_strace_saw(run: Run) -> None:
    """Of client, server and the server's children: in order, with arguments, octets, results and errors."""
    ours: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for told in run.succeeded().story.calls:
        mine = ours[told.call.host].setdefault(told.call.pid, [])
        if told.call.name not in NO_SOCKET:
            mine.append(format_call(told.call))
    assert {host: [calls for _, calls in sorted(pids.items()) if calls] for host, pids in ours.items()} == {
        host: calls for host, calls in socket_calls(run.strace).items() if calls
    }
