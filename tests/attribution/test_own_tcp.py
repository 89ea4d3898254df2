"""A host whose TCP is rawlab's own: its packets' reasons say so, and say nothing that only a kernel does."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN


def test_who_answers_a_syn_and_who_refuses_one() -> None:
    """The client's host listens on port 7, and not on 9."""
    stands(
        """
        c1  client   1-2      socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  client   3-4      bind(3, 0.0.0.0:40000) = 0
        c3  client   5-6      listen(3, 5) = 0           | nothing ~ rawlab's TCP completes handshakes
        p1  server>  100      [S] seq 0                  | call (inferred)
        p2  client>  130      [S.] seq 0, ack 1          | kernel c3 p1 ~ rawlab's TCP answers SYN (packet 1)
        """,
        own=True,
    )
    stands(
        """
        c1  client   1-2      socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
        p1  server>  100      [S] seq 0                  | call (inferred)
        p2  client>  130      [R.] seq 0, ack 1          | kernel p1 ~ rawlab's TCP refuses SYN (packet 1)
        """,
        own=True,
    )


def test_who_asks_and_tells_the_link_layer_address() -> None:
    """No kernel owns it."""
    stands(
        """
        p1  client>  100      ARP, Request who-has 10.0.0.2 tell 10.0.0.1  | kernel p3 ~ rawlab's TCP, at 10.0.0.1, asks for
        p2  server>  125      ARP, Reply 10.0.0.2 is-at                    | kernel p1 ~ answers packet 1: 10.0.0.2 is here
        p3  client>  150      [S] seq 0
        p4  server>  200      ARP, Request who-has 10.0.0.1 tell 10.0.0.2
        p5  client>  225      ARP, Reply 10.0.0.1 is-at                    | kernel p4 ~ 10.0.0.1 is here, and rawlab answers for it
        """,
        own=True,
    )


def test_after_a_loss_all_behind_it_is_sent_again() -> None:
    """Its timer runs out once; the rest follows as acknowledgments come, and then the timer runs out anew."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabbcc", 6) = 6       | sent p4 p5 p6
        p4  client>  410-     [.] seq 1:3, ack 1 "aa"         | call c7[0:2] lost
        p5  client>  411-     [.] seq 3:5, ack 1 "bb"         | call c7[2:4] lost
        p6  client>  412-     [P.] seq 5:7, ack 1 "cc"        | call c7[4:6] lost
        p7  client>  210410   [.] seq 1:3, ack 1 "aa"         | kernel c7[0:2] p4 ~ not acknowledged for 210 ms: its timer ran out
        p8  server>  210500   [.] ack 3                       | kernel p7
        p9  client>  210600-  [.] seq 3:5, ack 1 "bb"         | kernel c7[2:4] p5 lost ~ believed lost with what came before it
        p10 client>  610600   [.] seq 3:5, ack 1 "bb"         | kernel c7[2:4] p5 ~ not acknowledged for 400 ms: its timer ran out
        """,
        own=True,
    )


def test_a_closed_window_is_probed_with_the_next_octet() -> None:
    """RFC 9293 section 3.8.6.1: no octet of the probe is a write's that found room."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aabb", 4) = 4         | sent p4 p7
        p4  client>  410      [.] seq 1:3, ack 1 "aa"         | call c7[0:2]
        p5  server>  440      [.] ack 3, win 0                | kernel p4
        p6  client>  210440   [.] seq 3:4, ack 1 "b"          | kernel c7[2:3] p5 ~ asks whether the peer's window, which is zero, has opened
        p7  client>  300000   [P.] seq 3:5, ack 1 "bb"        | call c7[2:4] p6 ~ octet 3 again, as in packet 6
        """,
        own=True,
    )


def test_each_segment_out_of_order_is_answered_at_once() -> None:
    """One after the other, though both had come before the first answer left."""
    stands(
        f"""{OPEN}
        c7  server   400-420  write(4, "aabbcc", 6) = 6
        p4  server>  410-     [.] seq 1:3, ack 1 "aa"
        p5  server>  411      [.] seq 3:5, ack 1 "bb"
        p6  server>  412      [P.] seq 5:7, ack 1 "cc"
        p7  client>  450      [.] ack 1                       | kernel p5 ~ packet 5 came out of order
        p8  client>  460      [.] ack 1                       | kernel p6 ~ packet 6 came out of order
        """,
        own=True,
    )


def test_a_connection_that_nobody_accepted_ends_with_the_listening_socket() -> None:
    """Whose TCP it is makes no difference: close sends RST."""
    for own in (False, True):
        stands(
            """
            c1  client   1-2      socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
            c2  client   3-4      bind(3, 0.0.0.0:40000) = 0
            c3  client   5-6      listen(3, 5) = 0
            p1  server>  100      [S] seq 0
            p2  client>  130      [S.] seq 0, ack 1
            p3  server>  160      [.] ack 1
            c4  client   200-220  close(3) = 0                | sent p4
            p4  client>  210      [R.] seq 1, ack 1           | call c4 ~ ends the listening socket: nobody can accept this
            """,
            own=own,
        )
