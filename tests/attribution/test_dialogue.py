"""A flow's packets as turns, and what the calls of who plays them were answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab import api
from rawlab.attribution.dialogue import NotWhole, answered, dialogue
from rawlab.model.address import Endpoint
from rawlab.model.dialogue import Dialogue, Saying, Turn
from rawlab.model.event import Call, Frame
from rawlab.model.story import Packet
from rawlab.model.timeline import Point, Run, Timeline
from tests.attribution.segments import Segment, tcp_frame

CAPTURES = Path(__file__).parents[2] / "captures"
CLIENT, SERVER = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.2", 7)


def captured(name: str) -> Dialogue:
    """The first flow of one of our own captures."""
    packets = [packet for packet in api.load(CAPTURES / f"{name}.pcapng").packets if packet.facts.flow is not None]
    first = packets[0].facts.flow
    assert first is not None
    mine = [p for p in packets if p.facts.flow is not None and p.facts.flow.conversation == first.conversation]
    found = dialogue(mine)
    assert found is not None
    return found


def spoken(*segments: tuple[str, str, int, int, bytes]) -> list[Packet]:
    """Packets from (who, flags, seq, ack, data), a millisecond apart."""
    made = []
    for number, (who, flags, seq, ack, data) in enumerate(segments, 1):
        source, destination = (CLIENT, SERVER) if who == "client" else (SERVER, CLIENT)
        segment = Segment(source=source, destination=destination, flags=flags, seq=seq, ack=ack, data=data)
        data, at_ns = tcp_frame(segment), number * 1_000_000
        made.append(Frame(number=number, at_ns=at_ns, point=0, outgoing=None, data=data, length=len(data)))
    timeline = Timeline(run=Run(), hosts=(), points=(Point(name="eth0", linktype=1),), calls=(), frames=tuple(made))
    return list(api.explain(timeline).packets)


OPEN = [
    ("client", "S", 100, 0, b""),
    ("server", "S.", 500, 101, b""),
    ("client", ".", 101, 501, b""),
]


def turns(found: Dialogue | None) -> list[tuple[list[bytes], list[bytes]]]:
    assert found is not None
    return [([saying.data for saying in turn.says], list(turn.answers)) for turn in found.turns]


def test_an_echo_is_one_turn() -> None:
    """Of TCP's, UDP's and SCTP's echo alike; our own captures see each packet twice, and tell it once."""
    for name in ("tcp-echo", "udp-echo", "sctp-echo"):
        found = captured(name)
        assert turns(found) == [([b"hello"], [b"hello"])]
        assert (found.protocol, found.server.port) == (name[:-5], 7)


def test_how_it_ended() -> None:
    """By FIN of both, the client first; by a refusal."""
    ended, refused = captured("tcp-echo"), captured("tcp-refused")
    assert (ended.client_ends, ended.server_ends, ended.client_first) == ("FIN", "FIN", True)
    assert (refused.refused, refused.turns) == (True, ())


def test_what_is_acknowledged_tells_the_turns() -> None:
    """The client has heard both answers before it asks again, whatever the order in which packets were seen."""
    found = dialogue(
        spoken(
            *OPEN,
            ("client", "P.", 101, 501, b"one"),
            ("server", "P.", 501, 104, b"1a"),
            ("server", "P.", 503, 104, b"1b"),
            ("client", "P.", 104, 505, b"two"),
            ("server", "P.", 505, 107, b"2"),
        )
    )
    assert turns(found) == [([b"one"], [b"1a1b"]), ([b"two"], [b"2"])]


def test_the_server_may_speak_first() -> None:
    """A greeting is a turn in which the client says nothing."""
    found = dialogue(
        spoken(
            *OPEN,
            ("server", "P.", 501, 101, b"hi"),
            ("client", "P.", 101, 503, b"bye"),
        )
    )
    assert turns(found) == [([], [b"hi"]), ([b"bye"], [])]


def test_segments_are_joined_until_one_pushes() -> None:
    """What TCP cut was written at once; what was sent twice is said once; pauses are between writes."""
    found = dialogue(
        spoken(
            *OPEN,
            ("client", ".", 101, 501, b"abc"),
            ("client", "P.", 104, 501, b"de"),
            ("client", ".", 101, 501, b"abc"),
            ("client", "P.", 106, 501, b"f"),
        )
    )
    assert found is not None
    assert turns(found) == [([b"abcde", b"f"], [])]
    assert [saying.pause_ns for saying in found.turns[0].says] == [0, 3_000_000]


def test_out_of_order_octets_find_their_place() -> None:
    """By sequence numbers, not by the order of the capture."""
    found = dialogue(
        spoken(
            *OPEN,
            ("client", "P.", 104, 501, b"de"),
            ("client", ".", 101, 501, b"abc"),
        )
    )
    assert turns(found) == [([b"abcde"], [])]


def test_what_is_missing_of_the_client_s_can_t_be_played() -> None:
    """It says which octets; of the server's it is only noted."""
    with pytest.raises(NotWhole, match="octets 1 to 3 of what the client sent are not in the capture"):
        dialogue(spoken(*OPEN, ("client", "P.", 104, 501, b"de")))
    found = dialogue(
        spoken(
            *OPEN,
            ("client", "P.", 101, 501, b"a"),
            ("server", "P.", 503, 102, b"cd"),
        )
    )
    assert found is not None
    assert found.turns[0].unknown == ((0, 2),)


def call(name: str, data: bytes = b"", result: int | None = None, errno: str | None = None) -> Call:
    size = len(data) if result is None else result
    return Call(host="client", pid=1, name=name, args=(("buf", data),), result=size, errno=errno, entered_ns=0)


ASKED = Dialogue(
    protocol="tcp",
    client=captured("tcp-echo").client,
    server=captured("tcp-echo").server,
    turns=(
        Turn(says=(Saying(data=b"ab"), Saying(data=b"c")), answers=(b"xyz",)),
        Turn(says=(Saying(data=b"d"),), answers=(b"!",)),
    ),
)


def test_answers_belong_to_the_turn_that_was_said_before() -> None:
    """However many calls it took to write and to read them."""
    calls = [call("write", b"a"), call("write", b"b"), call("write", b"c"), call("read", b"x"), call("read", b"yz")]
    told = answered(ASKED, [*calls, call("write", b"d"), call("read", b"?"), call("read")])
    assert told.turns == ((b"xyz",), (b"?",))
    assert told.ends == "FIN"


def test_a_turn_that_was_not_reached() -> None:
    """The server reset the connection: what was not asked has no answer."""
    calls = [call("write", b"ab"), call("write", b"c"), call("read", result=-1, errno="ECONNRESET")]
    told = answered(ASKED, calls)
    assert told.turns == ((), None)
    assert (told.ends, told.call, told.errno) == ("RST", "read", "ECONNRESET")


def test_what_the_server_acknowledges_was_said() -> None:
    """Though not a packet of it was captured."""
    with pytest.raises(NotWhole, match="octets 1 to 52 of what the client sent"):
        dialogue(spoken(*OPEN, ("server", ".", 501, 153, b"")))
