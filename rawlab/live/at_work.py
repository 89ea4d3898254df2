"""Which sockets of a host may still send by themselves: what a run waits for before it ends.

The kernel's tables say it, for TCP and for SCTP, in the present network namespace. A HEARTBEAT, which an idle
association sends every half minute, is not waited for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

# net/sctp/associola.c: enum sctp_state.
_ESTABLISHED = 3


def sockets_at_work(port: int | None = None) -> int:
    """How many TCP sockets and SCTP associations may still send by themselves; of one port only, if given."""
    return _tcp(port) + _sctp(port)


def _tcp(port: int | None) -> int:
    """proc_net_tcp(5): ESTABLISHED with data queued, SYN-SENT, SYN-RECEIVED, FIN-WAIT-1, CLOSING and LAST-ACK."""
    at_work = 0
    for table in ("tcp", "tcp6"):
        for _, local, remote, state, queues, *_ in _rows(table):
            ports = {int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)}
            waiting = state in ("02", "03", "04", "09", "0B") or int(queues.partition(":")[0], 16) > 0
            at_work += waiting and state not in ("07", "0A") and (port is None or port in ports)
    return at_work


def _sctp(port: int | None) -> int:
    """net/sctp/proc.c: all but those that are ESTABLISHED and have nothing queued."""
    at_work = 0
    for _, _, _, _, state, _, _, sending, _, _, _, local, remote, *_ in _rows("sctp/assocs"):
        idle = int(state) == _ESTABLISHED and int(sending) == 0
        at_work += not idle and (port is None or port in (int(local), int(remote)))
    return at_work


def _rows(table: str) -> Iterator[list[str]]:
    """The lines of one of /proc/net's tables, without their head; none where there is no such table."""
    with contextlib.suppress(OSError), open(f"/proc/thread-self/net/{table}") as file:
        yield from (line.split() for line in file.readlines()[1:])
