"""The same octets again: whose they are, why they were sent again, and what was lost."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN


def test_a_lost_segment_comes_again_by_the_timer() -> None:
    """The same octets, the same write; the kernel's timer sent them again, and the read waited for the second."""
    stands(
        f"""{OPEN}
        c7  client   400-420     write(3, "hello", 5) = 5      | sent p4
        p4  client>  410-        [P.] seq 1:6, ack 1 "hello"   | call c7[0:5] lost
        p5  client>  210410      [P.] seq 1:6, ack 1 "hello"   | kernel c7[0:5] p4 ~ not acknowledged for 210 ms: its timer
        p6  server>  210435      [.] ack 6
        c8  server   210440      read(4, "hello", 5) = 5       | waited p5
        """
    )


def test_a_segment_that_came_again_though_it_had_arrived() -> None:
    """Its acknowledgment was lost: the second segment is answered with what is expected next, and read once."""
    stands(
        f"""{OPEN}
        c7  client   400-420     write(3, "hello", 5) = 5      | sent p4
        p4  client>  410         [P.] seq 1:6, ack 1 "hello"   | call c7[0:5]
        p5  server>  435-        [.] ack 6                     | kernel p4 lost
        c8  server   440         read(4, "hello", 5) = 5       | waited p4
        p6  client>  210410      [P.] seq 1:6, ack 1 "hello"   | kernel c7[0:5] p4 ~ timer
        p7  server>  210435      [.] ack 6                     | kernel p6 ~ says again what it expects next, number 6
        """
    )


def test_three_duplicate_acknowledgments_bring_a_fast_retransmit() -> None:
    """RFC 5681 section 3.2: the hole is sent again at once, because of the three that asked for it."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabbccdd", 8) = 8     | sent p4 p5 p6 p7
        p4  client>  410-     [.] seq 1:3, ack 1 "aa"         | call c7[0:2] lost
        p5  client>  411      [.] seq 3:5, ack 1 "bb"         | call c7[2:4]
        p6  client>  412      [.] seq 5:7, ack 1 "cc"         | call c7[4:6]
        p7  client>  413      [P.] seq 7:9, ack 1 "dd"        | call c7[6:8]
        p8  server>  432      [.] ack 1                       | kernel p5 ~ expects next, number 1: packet 5 came out of order
        p9  server>  433      [.] ack 1                       | kernel p6
        p10 server>  434      [.] ack 1                       | kernel p7
        p11 client>  456      [.] seq 1:3, ack 1 "aa"         | kernel c7[0:2] p4 p8 p9 p10 ~ fast retransmit after 3 duplicate
        p12 server>  480      [.] ack 9                       | kernel p5 p6 p7 p11 ~ acknowledges octets 1 to 8
        c8  server   490      read(4, "aabbccdd", 8) = 8      | waited p5 p6 p7 p11
        """
    )


def test_fewer_duplicates_are_no_fast_retransmit() -> None:
    """With one or two, selective acknowledgments (RACK, RFC 8985) told that it was missing."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabbcc", 6) = 6       | sent p4 p5 p6
        p4  client>  410-     [.] seq 1:3, ack 1 "aa"         | call c7[0:2] lost
        p5  client>  411      [.] seq 3:5, ack 1 "bb"         | call c7[2:4]
        p6  client>  412      [P.] seq 5:7, ack 1 "cc"        | call c7[4:6]
        p7  server>  432      [.] ack 1                       | kernel p5
        p8  server>  433      [.] ack 1                       | kernel p6
        p9  client>  500      [.] seq 1:3, ack 1 "aa"         | kernel c7[0:2] p4 p7 ~ selective acknowledgments
        """
    )


def test_a_retransmission_that_carries_new_octets_too() -> None:
    """What was sent before and what was not go together in one segment: it is said of both."""
    stands(
        f"""{OPEN}
        c7  client   400-420     write(3, "aaa", 3) = 3          | sent p4 p5
        p4  client>  410-        [P.] seq 1:4, ack 1 "aaa"       | call c7[0:3] lost
        c8  client   430-440     write(3, "bbb", 3) = 3          | sent p5
        p5  client>  210410      [P.] seq 1:7, ack 1 "aaabbb"    | call c7[0:3] c8[0:3] p4 ~ octets 1 to 3 again
        """
    )


def test_a_lost_fin_comes_again() -> None:
    """The second FIN is the kernel's, on behalf of the same close."""
    stands(
        f"""{OPEN}
        c7  client   400-420   close(3) = 0                   | sent p4
        p4  client>  410-      [F.] seq 1, ack 1              | call c7 lost              | FIN-WAIT-1 ESTABLISHED
        p5  client>  210410    [F.] seq 1, ack 1              | kernel c7 p4 ~ FIN again  | FIN-WAIT-1 ESTABLISHED
        p6  server>  210435    [.] ack 2                      | kernel p5                 | FIN-WAIT-1 CLOSE-WAIT
        """
    )


def test_a_lost_last_step_of_the_handshake_is_made_up_for_by_data() -> None:
    """The client's first data segment carries the acknowledgment that the server's kernel misses."""
    stands(
        f"""{OPEN.partition("p3")[0]}
        p3  client>  158-     [.] ack 1                       | kernel c5 p2 lost          | ESTABLISHED SYN-RECEIVED
        c6  client   400-420  write(3, "x", 1) = 1            | sent p4
        p4  client>  410      [P.] seq 1:2, ack 1 "x"         | call c6[0:1]               | ESTABLISHED SYN-RECEIVED
        c7  server   500      accept(3, 10.0.0.1:40000) = 4   | waited p4                  | ESTABLISHED ESTABLISHED
        """
    )


def test_equal_octets_in_flight_together_arrive_in_the_order_in_which_they_left() -> None:
    """Two acknowledgments without identification are one and the same on the wire: first out, first in."""
    story = stands(
        """
        c1  server   0        socket(AF_INET6, SOCK_STREAM, IPPROTO_IP) = 3
        p1  server>  435-460  [.] ack 1
        p2  server>  436-461  [.] ack 1
        """,
        ipv6=True,
    )
    assert [packet.frames for packet in story.packets] == [(1, 3), (2, 4)]


def test_nothing_is_called_lost_where_the_capture_itself_lost_frames() -> None:
    """A frame that no one saw arrive may have arrived, if the kernel dropped frames of the capture."""
    from dataclasses import replace

    from rawlab.attribution.telling import tell
    from rawlab.wire.decode import decode
    from tests.attribution.ladder import read

    whole = read(f"{OPEN}\np4 client> 410- [.] ack 1")
    unsure = replace(whole, points=(whole.points[0], replace(whole.points[1], dropped=1)))
    uncounted = replace(whole, points=(whole.points[0], replace(whole.points[1], dropped=None)))
    assert [tell(t, decode).packets[3].lost for t in (whole, unsure, uncounted)] == [True, False, False]
