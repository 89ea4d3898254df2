"""Rows: what each shows of either host's state."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.attribution.telling import tell
from rawlab.views.rows import rows
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.ladders import OPEN

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
SOCKETS = ("CLOSED", "LISTEN")  # a socket's states without a conversation


def test_a_row_about_something_else_shows_no_state_that_has_ended() -> None:
    """The last acknowledgment has arrived at the server when the client makes another socket."""
    story = tell(
        read(
            f"""{OPEN}
            c7  client   400-420  close(3) = 0
            p4  client>  410      [F.] seq 1, ack 1
            c8  server   440-460  close(4) = 0
            p5  server>  450      [F.] seq 1, ack 2
            p6  client>  480      [.] ack 2
            c9  client   600-610  socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
            """
        ),
        decode,
    )
    told = {row.label: dict(row.states) for row in rows(story)}
    assert told["p6"] == {"client": "TIME-WAIT", "server": "LAST-ACK"}
    assert told["c9"] == {"client": "CLOSED", "server": "CLOSED"}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_row_shows_states_that_hold(path: Path) -> None:
    """Each is the state of one of the host's conversations at that time, or of a socket that has none."""
    story = load(path)
    for row in rows(story):
        end_ns = row.call.call.returned_ns or row.at_ns if row.call is not None and row.last else row.at_ns
        for host, state in row.states:
            mine = (one for one in story.transitions if one.host == host and one.at_ns <= end_ns)
            lanes = {one.packet: one.state for one in mine}
            assert state in (*lanes.values(), *SOCKETS), row
