"""How a connection ends out of order: what provoked each RST."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from rawlab.views.explanations import explanations
from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN
from tests.attribution.test_unproven import without_calls

LINGER_0 = r'"\x01\x00\x00\x00\x00\x00\x00\x00"'
LINGER_5 = r'"\x01\x00\x00\x00\x05\x00\x00\x00"'


def test_a_close_with_octets_unread_resets() -> None:
    """RFC 2525 section 2.17: close itself sends RST, for nobody will read what has come."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "unread", 6) = 6
        p4  client>  410      [P.] seq 1:7, ack 1 "unread"
        p5  server>  435      [.] ack 7
        c8  server   440      read(4, "un", 2) = 2            | waited p4
        c9  server   500-520  close(4) = 0                    | sent p6 ~ (RST)   | ESTABLISHED CLOSED
        p6  server>  510      [R.] seq 1, ack 7               | call c9 ~ left 4 octets unread | ESTABLISHED CLOSED
        c10 client   600      read(3, NULL, 9) = -1 ECONNRESET (Connection reset by peer) | waited p6 ~ reports the reset | CLOSED CLOSED
        """
    )


def test_a_linger_of_zero_resets() -> None:
    """SO_LINGER on, 0 seconds: close sends RST instead of FIN."""
    stands(
        f"""{OPEN}
        c7  client   300      setsockopt(3, SOL_SOCKET, SO_LINGER, {LINGER_0}) = 0
        c8  client   400-420  close(3) = 0                    | sent p4           | CLOSED ESTABLISHED
        p4  client>  410      [R.] seq 1, ack 1               | call c8 ~ SO_LINGER set to 0 seconds | CLOSED ESTABLISHED
        """
    )


def test_a_linger_of_five_seconds_does_not_explain_a_reset() -> None:
    """Only 0 seconds reset; with 5, what was unread did."""
    stands(
        f"""{OPEN}
        c7  server   300      setsockopt(4, SOL_SOCKET, SO_LINGER, {LINGER_5}) = 0
        c8  client   400-420  write(3, "unread", 6) = 6
        p4  client>  410      [P.] seq 1:7, ack 1 "unread"
        c9  server   500-520  close(4) = 0                    | sent p5
        p5  server>  510      [R.] seq 1, ack 7               | call c9 ~ left 6 octets unread
        """
    )


def test_data_after_close_is_answered_with_a_reset() -> None:
    """The kernel's answer to data that nobody can read any more names the packet and the close."""
    stands(
        f"""{OPEN}
        c7  server   400-420  close(4) = 0                    | sent p4
        p4  server>  410      [F.] seq 1, ack 1
        p5  client>  435      [.] ack 2                       | kernel p4         | CLOSE-WAIT FIN-WAIT-1
        c8  client   500-520  write(3, "late", 4) = 4         | sent p6
        p6  client>  510      [P.] seq 1:5, ack 2 "late"      | call c8[0:4]
        p7  server>  535      [R] seq 2                       | kernel c7 p6 ~ packet 6 brought data after close (call 7)
        c9  client   600      write(3, "x", 1) = -1 EPIPE (Broken pipe) | waited p7 ~ reports the reset | CLOSED CLOSED
        """
    )


def test_data_that_was_under_way_when_the_socket_was_closed() -> None:
    """It left before the close and arrived after it: it is what provoked the reset."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "late", 4) = 4
        p4  client>  410-450  [P.] seq 1:5, ack 1 "late"
        c8  server   430-435  close(4) = 0                    | sent p5
        p5  server>  432      [F.] seq 1, ack 1               | call c8
        p6  server>  455      [R] seq 2                       | kernel c8 p4 ~ packet 4 brought data after close
        """
    )


def test_a_close_after_shutdown_that_leaves_octets_unread() -> None:
    """The acknowledgment of shutdown's FIN brought no data: close, not it, resets."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "unread", 6) = 6
        p4  client>  410      [P.] seq 1:7, ack 1 "unread"
        p5  server>  435      [.] ack 7
        c8  server   500-520  shutdown(4, SHUT_WR) = 0        | sent p6
        p6  server>  510      [F.] seq 1, ack 7               | call c8
        p7  client>  535      [.] ack 2                       | kernel p6
        c9  server   600-620  close(4) = 0                    | sent p8
        p8  server>  610      [R.] seq 2, ack 7               | call c9 ~ left 6 octets unread
        """
    )


def test_a_syn_ack_that_no_socket_asked_for_is_refused() -> None:
    """The answer to a hand-made SYN: the client's kernel knows of no such connection."""
    stands(
        """
        c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  server   10       bind(3, 0.0.0.0:7) = 0
        c3  server   20       listen(3, 10) = 0
        p1  client>  110      [S] seq 0                       | call (inferred)    | SYN-SENT LISTEN
        p2  server>  135      [S.] seq 0, ack 1               | kernel c3 p1       | SYN-SENT SYN-RECEIVED
        p3  client>  160      [R] seq 1                       | kernel p2 ~ no socket asked for SYN-ACK (packet 2) | CLOSED SYN-RECEIVED
        c4  server   900      close(3) = 0                    | nothing            | - CLOSED
        """
    )


def test_a_reset_that_nothing_explains_says_so() -> None:
    """A middlebox's, perhaps: never a guess with confidence."""
    story = stands(f"{OPEN}\np4 server> 500 [R] seq 1")
    assert story.packets[3].cause.confidence != "exact"


def test_a_reset_with_ack_in_a_connection_is_no_refusal() -> None:
    """RFC 9293 section 3.10.7.1: what answers an ACK that fits no connection has no ACK flag."""
    story = without_calls(f"{OPEN}\np4 client> 400 [P.] seq 1:3, ack 1 \"hi\"\np5 server> 500 [R.] seq 1, ack 3")
    cause = story.packets[4].cause
    assert cause.reason.startswith("aborts the connection (a close with data unread, or SO_LINGER of 0 seconds), or")
    assert cause.confidence == "inferred"
    story = without_calls(f"{OPEN}\np4 client> 400 [P.] seq 1:3, ack 1 \"hi\"\np5 server> 500 [R] seq 1")
    assert story.packets[4].cause.reason.startswith("packet 4 fits no connection of this host any more: it has lost it")


def test_a_reset_that_does_not_acknowledge_syn_is_ignored() -> None:
    """RFC 9293 section 3.10.7.3: SYN-SENT drops it, and SYN-ACK still opens the connection."""
    story = stands(
        """
        p1  client>  100      [S] seq 0                       | call (inferred)    | SYN-SENT -
        p2  server>  130      [R.] seq 1, ack 0               | unknown p1 ~ does not acknowledge SYN (packet 1) | SYN-SENT LISTEN
        p3  server>  135      [S.] seq 0, ack 1               | kernel p1 (inferred) | SYN-SENT SYN-RECEIVED
        p4  client>  160      [.] seq 1, ack 1                | kernel p3          | ESTABLISHED SYN-RECEIVED
        """
    )
    assert "SYN-SENT drops it" in explanations(story)["p2"]
