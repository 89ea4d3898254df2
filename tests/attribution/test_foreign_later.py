"""Captures without calls: what a later packet disproves is not said, and what a number alone proves is said so.

Scripted as in `test_foreign`.
"""

from __future__ import annotations

import struct

import pytest

from rawlab.attribution.telling import tell
from rawlab.model.event import Frame
from rawlab.model.story import Story
from rawlab.model.timeline import Point, Run, Timeline
from rawlab.views.places import Places
from rawlab.views.summary import summary
from rawlab.wire.decode import decode
from tests.attribution.test_foreign import ISN, MSS, OPEN, captured, reason, states

LOST_SYN_ACK = f"""
client 0 [S] seq 0 opts {MSS}
server 10 [S.] seq 0 ack 1 opts {MSS}
client 1010 [S] seq 0 opts {MSS}
server 1020 [S.] seq 0 ack 1 opts {MSS}
client 1040 [.] seq 1 ack 1
"""
BITS_OF_CHALLENGE = "client 0 [S] seq 0\nserver 10 [.] seq 701 ack -89881\nclient 20 [R] seq -89881"


def test_a_syn_ack_that_was_lost_behind_the_capture() -> None:
    """SYN comes again by the timer: until the second SYN-ACK the client has got none, and answers that one."""
    story = captured(LOST_SYN_ACK)
    assert "SYN again: packet 1 was not acknowledged for 1.010 s: the retransmission timer ran out" in reason(story, 3)
    assert "so packet 2, which answers it, had not come there: late, or lost behind this point" in reason(story, 3)
    assert "SYN-ACK again, as in packet 2: packet 3 has said SYN again" in reason(story, 4)
    assert "acknowledges SYN-ACK (packet 4) after 20.000 ms" in reason(story, 5)
    assert "the handshake took 1.040 s since the first SYN (packet 1)" in reason(story, 5)
    assert not any("wrong way round" in packet.cause.reason for packet in story.packets)
    assert [states(packet)[0] for packet in story.packets] == ["SYN-SENT"] * 3 + ["ESTABLISHED"] * 2


def test_a_handshake_that_was_captured_out_of_order_has_no_time() -> None:
    """Where SYN stands behind its answer, the distance to the third step is not the handshake's."""
    story = captured("server 0 [S.] seq 0 ack 1\nclient 0.2 [S] seq 0\nclient 0.3 [.] seq 1 ack 1")
    assert "wrong way round" in reason(story, 2)
    assert "the handshake took" not in reason(story, 3)


def test_a_syn_long_after_its_answer_is_another() -> None:
    """It was sent again; the first was not captured, and the answer had not come there."""
    story = captured("server 0 [S.] seq 0 ack 1\nclient 1000 [S] seq 0")
    assert "again: packet 1 answers one that was not captured, and had not come there" in reason(story, 2)
    assert states(story.packets[1])[0] == "SYN-SENT"


def test_a_half_open_connection() -> None:
    """SYN is answered with what the other end expects, which knows a connection still; a reset ends that."""
    story = captured(BITS_OF_CHALLENGE)
    assert "half-open, RFC 9293 section 3.5.1; challenge ACK, RFC 5961 section 4" in reason(story, 2)
    assert states(story.packets[1]) == ["SYN-SENT", "ESTABLISHED"]
    assert "packet 2 does not acknowledge its SYN (packet 1): SYN-SENT answers with a reset" in reason(story, 3)
    assert states(story.packets[2])[1] == "CLOSED"
    assert not any("-8988" in packet.cause.reason for packet in story.packets)


def test_no_number_below_zero_is_told() -> None:
    """What lies before the first that was captured is older; how many octets it has is known."""
    story = captured(
        "client 0 [P.] seq 1001 len 10 ack 1\nclient 400 [P.] seq 501 len 100 ack 1\nserver 401 [.] seq 1 ack 501"
    )
    assert "100 octets from before number 1 again" in reason(story, 2)
    assert not any(" -" in packet.cause.reason for packet in story.packets)


def test_what_came_late_was_not_sent_again() -> None:
    """A packet out of order is no second one: its acknowledgment does not say so."""
    story = captured(OPEN + "client 30 [.] seq 101 len 100 ack 1\nclient 30.2 [.] seq 1 len 100 ack 1\n"
                     "server 50 [.] seq 1 ack 201")
    assert "sent it again" not in reason(story, 6)


def test_a_fin_that_had_not_come_when_the_other_left() -> None:
    """Both close at once: the receiver of the first is ESTABLISHED until its own FIN leaves (RFC 9293 figure 5)."""
    script = OPEN + "client 30 [F.] seq 1 ack 1\nserver 30.1 [F.] seq 1 ack 1\n"
    story = captured(script + "client 50 [.] seq 2 ack 2\nserver 50.1 [.] seq 2 ack 2")
    assert states(story.packets[3]) == ["FIN-WAIT-1", "ESTABLISHED"]
    assert states(story.packets[4]) == ["CLOSING", "FIN-WAIT-1"]
    server = [one.state for one in story.transitions if one.host == "server"]
    assert server == ["SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT"]


def test_a_fin_with_the_number_of_syn_is_taken_by_nobody() -> None:
    """It is old where it comes; who sends it has closed when its connection is established."""
    script = "client 0 [S] seq 0\nclient 290 [F] seq 0\nserver 304 [S.] seq 0 ack 1\n"
    story = captured(script + "client 307 [F.] seq 0 ack 1")
    assert states(story.packets[3]) == ["FIN-WAIT-1", "ESTABLISHED"]


def test_one_write_is_many_segments() -> None:
    """PSH stands on the last, and now and then on a whole one between."""
    script = OPEN + "client 30 [.] seq 1 len 1460 ack 1 win 500\n"
    script += "client 30.1 [.] seq 1461 len 1460 ack 1\nclient 30.2 [P.] seq 2921 len 1460 ack 1\n"
    script += "client 30.3 [.] seq 4381 len 1460 ack 1\nclient 30.4 [P.] seq 5841 len 100 ack 1\n"
    story = captured(script + "client 30.5 [P.] seq 5941 len 100 ack 1")
    assert [reason(story, n).partition(": octets")[0] for n in range(4, 9)] == [
        "the first part of a write", "more of that write", "more of that write, or the end (PSH)",
        "more of that write or of another", "the end of that write (PSH)",
    ]
    assert reason(story, 4).startswith("the first part of a write: octets 1 to 1460, a whole segment")
    assert reason(story, 9).startswith("a write of octets 5941 to 6040")


@pytest.mark.parametrize(("number", "said"), [(7, "sent them again"), (77, "captured twice")])
def test_a_number_that_all_packets_have_proves_no_copy(number: int, said: str) -> None:
    """Two packets with the same IP identification are one only where others have another."""
    opened = "\n".join(f"{line} id 7" if "opts" not in line else line.replace(" opts", " id 7 opts")
                       for line in OPEN.strip().splitlines())
    twice = f"client 30 [P.] seq 1 len 9 ack 1 id {number}\nclient 30.1 [P.] seq 1 len 9 ack 1 id {number}"
    assert ("captured twice" in reason(captured(f"{opened}\n{twice}"), 5)) == (said == "captured twice")


def test_a_duplicate_that_selective_acknowledgment_tells_of() -> None:
    """A block below the acknowledgment names what came twice (RFC 2883)."""
    block = "0101050a" + struct.pack("!II", (ISN["client"] + 1) % 2**32, (ISN["client"] + 101) % 2**32).hex()
    script = OPEN + "client 30 [P.] seq 1 len 100 ack 1\nclient 330 [P.] seq 1 len 100 ack 1\n"
    story = captured(script + f"server 350 [.] seq 1 ack 101\nserver 351 [.] seq 1 ack 101 opts {block}")
    assert "octets 1 to 100 came twice (D-SACK, RFC 2883): packet 5 sent them again in vain" in reason(story, 7)
    assert "D-SACK" not in reason(story, 6)


def test_an_answer_after_a_forged_reset_is_no_new_connection() -> None:
    """Its number does not follow on the reset's: whose is whose, is not known."""
    story = captured("client 0 [S] seq 0\nserver 200 [R.] seq 1000 ack 0\nserver 1200 [S.] seq 0 ack 1")
    assert "as if" not in reason(story, 3)


def test_nobody_answers() -> None:
    """Each wait as long as it was, twice the one before; at the last, what follows from all."""
    story = captured("client 0 [S] seq 0\nclient 1000 [S] seq 0\nclient 3000 [S] seq 0")
    assert "2.000 s since packet 2, 3.000 s since packet 1, for the second time" in reason(story, 3)
    assert "twice as long as before (RFC 6298 section 5.5)" in reason(story, 3)
    assert reason(story, 3).endswith("nothing ever answers here: filtered on the way, or no such host")
    assert "nothing ever answers" not in reason(story, 2)


def test_a_fin_of_one_direction_alone() -> None:
    """Which state it brings is not known: both are said."""
    story = captured("server 0 [S.] seq 0 ack 1\nserver 40 [.] seq 1 ack 53\nserver 90 [F.] seq 1 ack 54")
    assert "FIN-WAIT-1 follows, or LAST-ACK" in reason(story, 3)


# --------------------------------------------------------------------------------- where the packets are


def tagged(story: Story, *tags: int) -> Story:
    """The same capture with each packet once in each VLAN, one behind the other."""
    frames: list[Frame] = []
    for frame in story.timeline.frames:
        for place, tag in enumerate(tags):
            data = bytes(frame.data[:12]) + struct.pack("!HH", 0x8100, tag) + bytes(frame.data[12:])
            frames.append(
                Frame(number=len(frames) + 1, at_ns=frame.at_ns + place * 1000, point=0, outgoing=None, data=data,
                      length=len(data))
            )
    points = (Point(name="eth0", linktype=1),)
    return tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=tuple(frames)), decode)


def test_a_vlan_is_told_once() -> None:
    """Of all packets below the table; of each only where they differ."""
    story = tagged(captured(OPEN), 10)
    assert "all packets are in VLAN 10" in summary(story)
    assert "VLAN" not in reason(story, 1)


def test_two_vlans_that_have_each_packet() -> None:
    """The second is another sight of the first, not one sent again."""
    story = tagged(captured(OPEN), 10, 20)
    assert "captured in VLAN 10, then in VLAN 20, not sent again" in reason(story, 2)
    assert "packets are in different VLANs or tunnels: 3 in VLAN 10, 3 in VLAN 20" in summary(story)
    assert "3 of them were captured in two: each such packet stands here twice" in summary(story)


def udp(sport: int, dport: int, payload: bytes, identification: int, fragment: int) -> bytes:
    """A frame with (a piece of) a UDP datagram of 127.0.0.1 to itself; `fragment`: IP's flags and offset."""
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, 17, 0)
    return bytes(12) + b"\x08\0" + ip + bytes((127, 0, 0, 1)) * 2 + payload


def test_an_error_about_a_datagram_that_came_in_pieces() -> None:
    """It quotes the datagram, not the piece; on a ladder of one host it goes back where that came from."""
    datagram = struct.pack("!HHHH", 4000, 7001, 48, 0) + bytes(40)
    pieces = udp(4000, 7001, datagram[:24], 9, 0x2000), udp(4000, 7001, datagram[24:], 9, 3)
    whole = udp(4000, 7001, datagram, 9, 0)[14:]
    error = bytes((3, 3, 0, 0)) + bytes(4) + whole
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(error), 10, 0, 64, 1, 0) + bytes((127, 0, 0, 1)) * 2
    data = [*pieces, bytes(12) + b"\x08\0" + ip + error]
    frames = tuple(
        Frame(number=n, at_ns=n * 1000, point=0, outgoing=None, data=one, length=len(one))
        for n, one in enumerate(data, 1)
    )
    points = (Point(name="lo", linktype=1),)
    story = tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=frames), decode)
    assert "refuses packet 1: no socket has that UDP port" in reason(story, 3)
    places = Places(story, [story.packets[0], story.packets[2]])
    assert places.ends(story.packets[0]) == (0, 1)
    assert places.ends(story.packets[2]) == (1, 0)


def test_a_ladder_of_a_host_that_talks_to_itself_names_its_two_ends() -> None:
    """By their addresses and ports, where there is one conversation."""
    frames = tuple(
        Frame(number=n, at_ns=n * 1000, point=0, outgoing=None, data=one, length=len(one))
        for n, one in enumerate((udp(4000, 53, struct.pack("!HHHH", 4000, 53, 8, 0), 1, 0),
                                 udp(53, 4000, struct.pack("!HHHH", 53, 4000, 8, 0), 2, 0)), 1)
    )
    points = (Point(name="lo", linktype=1),)
    story = tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=frames), decode)
    assert list(Places(story, story.packets).names) == ["127.0.0.1:4000", "127.0.0.1:53"]
