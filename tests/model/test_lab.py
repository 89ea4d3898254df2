"""Labs' values: what a program takes of what may be chosen."""

from __future__ import annotations

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Lab, Options


def many(c: Calls, lab: Options, sync: Sync) -> None:
    for _ in range(lab.clients):
        [c.write(3, message) for message in lab.messages]


def one(c: Calls, lab: Options, sync: Sync) -> None:
    c.write(3, lab.message)


def none(c: Calls, lab: Options, sync: Sync) -> None:
    c.close(3)


def test_what_programs_take_is_found_in_their_code() -> None:
    """Also within a comprehension; of either program."""
    chosen = {"message", "messages", "clients"}
    for client, server, takes in (
        (many, none, {"clients", "messages"}),
        (none, many, {"clients", "messages"}),
        (one, none, {"message"}),
        (none, none, set()),
    ):
        lab = Lab(name="x", shows="", look_at="", server=server, client=client)
        assert lab.takes & chosen == takes


def test_the_first_message() -> None:
    """What who sends one sends."""
    assert Options(server=Endpoint("10.0.0.2", 7), messages=(b"a", b"b")).message == b"a"
