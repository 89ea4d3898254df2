"""Segments without data of their own: what they acknowledge, repeat, announce or ask."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN


def test_an_acknowledgment_names_all_the_segments_that_it_acknowledges() -> None:
    """Cumulative: one number for several segments, and no segment twice."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabbcc", 6) = 6
        p4  client>  410      [.] seq 1:3, ack 1 "aa"
        p5  client>  411      [.] seq 3:5, ack 1 "bb"
        p6  client>  412      [P.] seq 5:7, ack 1 "cc"
        p7  server>  440      [.] ack 5                       | kernel p4 p5 ~ octets 1 to 4 (packets 4 and 5)
        p8  server>  450      [.] ack 7                       | kernel p6 ~ octets 5 to 6 (packet 6)
        """
    )


def test_data_acknowledges_on_the_way() -> None:
    """Piggy-backed: the segment is its write's, and what it acknowledged is not acknowledged again."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "ping", 4) = 4
        p4  client>  410      [P.] seq 1:5, ack 1 "ping"      | call c7[0:4]
        c8  server   440-460  write(4, "pong", 4) = 4         | sent p5
        p5  server>  450      [P.] seq 1:5, ack 5 "pong"      | call c8[0:4]
        p6  client>  475      [.] ack 5                       | kernel p5 ~ acknowledges octets 1 to 4 (packet 5)
        """
    )


def test_an_out_of_order_segment_is_answered_with_what_is_missing() -> None:
    """A duplicate acknowledgment names the segment that provoked it, not the one that is missing."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabb", 4) = 4
        p4  client>  410-470  [.] seq 1:3, ack 1 "aa"
        p5  client>  411      [P.] seq 3:5, ack 1 "bb"
        p6  server>  435      [.] ack 1                       | kernel p5 ~ says again what it expects next, number 1
        p7  server>  475      [.] ack 5                       | kernel p4 p5
        """
    )


def test_a_read_opens_the_window() -> None:
    """A segment that repeats its numbers and tells a larger window follows a read."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "x"*1000, 1000) = 1000
        p4  client>  410      [P.] seq 1:1001, ack 1 "x"*1000
        p5  server>  435      [.] ack 1001, win 0             | kernel p4
        c8  server   500      read(4, "x"*1000, 1000) = 1000  | waited p4
        p6  server>  502      [.] ack 1001, win 502           | kernel c8 (inferred) ~ made room: the window opens
        """
    )


def test_a_zero_window_is_probed_and_each_probe_is_answered() -> None:
    """RFC 9293 section 3.8.6.1: one number below what is acknowledged, while the peer's window is zero."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "x"*1000, 1000) = 1000
        p4  client>  410      [P.] seq 1:1001, ack 1 "x"*1000 | call c7[0:1000]
        p5  server>  435      [.] ack 1001, win 0             | kernel p4
        c8  client   440-450  write(3, "yy", 2) = 2           | sent p8
        p6  client>  200500   [.] seq 1000, ack 1             | kernel p5 ~ asks whether the peer's window, which is zero
        p7  server>  200530   [.] ack 1001, win 502           | kernel (inferred) ~ window
        p8  client>  200560   [P.] seq 1001:1003, ack 1 "yy"  | call c8[0:2] p7 ~ held back until packet 7 came
        """
    )


def test_a_keep_alive_asks_and_is_answered() -> None:
    """RFC 9293 section 3.8.4: one number below, while the window is open; the answer repeats its numbers."""
    stands(
        f"""{OPEN}
        c7  client   400-420     write(3, "x", 1) = 1
        p4  client>  410         [P.] seq 1:2, ack 1 "x"
        p5  server>  435         [.] ack 2
        p6  client>  7200000435  [.] seq 1, ack 1             | kernel (inferred) ~ keep-alive
        p7  server>  7200000465  [.] ack 2                    | kernel p6 ~ answers the probe (packet 6)
        """
    )


def test_an_acknowledgment_of_what_the_capture_missed() -> None:
    """It says so, and is inferred."""
    stands(
        f"""{OPEN}
        p4  server>  435      [.] ack 6                       | kernel (inferred) ~ octets 1 to 5, which the capture did not see
        """
    )
