"""How a connection begins: which call sent which of the three segments, and what repeats or refuses them."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import LISTEN


def test_connect_sends_syn_the_kernel_answers_and_accept_takes_what_is_there() -> None:
    """SYN is connect's; SYN-ACK the kernel's for the listening socket, before any accept; accept awaits the ACK."""
    stands(
        f"""{LISTEN}
        c5  client   100-160  connect(3, 10.0.0.2:7) = 0        | sent p1 waited p2 ~ (SYN-ACK)  | ESTABLISHED SYN-RECEIVED
        p1  client>  110      [S] seq 0                         | call c5                        | SYN-SENT LISTEN
        p2  server>  135      [S.] seq 0, ack 1                 | kernel c3 p1 ~ no accept is needed | SYN-SENT SYN-RECEIVED
        p3  client>  158      [.] ack 1                         | kernel c5 p2 ~ the last of three steps | ESTABLISHED SYN-RECEIVED
        c6  server   200      accept(3, 10.0.0.1:40000) = 4     | waited p3 ~ had come before: no wait | ESTABLISHED ESTABLISHED
        """
    )


def test_a_waiting_accept_waits_for_the_last_ack() -> None:
    """Entered before the handshake, accept returns when its last segment has come."""
    stands(
        f"""{LISTEN}
        c5  server   40-190   accept(3, 10.0.0.1:40000) = 4     | waited p3 ~ waits for packet 3
        c6  client   100-160  connect(3, 10.0.0.2:7) = 0        | sent p1 waited p2
        p1  client>  110      [S] seq 0                         | call c6
        p2  server>  135      [S.] seq 0, ack 1                 | kernel c3 p1
        p3  client>  158      [.] ack 1                         | kernel c6 p2
        """
    )


def test_calls_that_send_nothing_say_so() -> None:
    """socket, bind and listen make no packet; the states are the socket's own."""
    stands(
        """
        c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3   | nothing ~ nothing is sent | - CLOSED
        c2  server   10       bind(3, 0.0.0.0:7) = 0     | nothing ~ gives the socket its address 0.0.0.0:7 | - CLOSED
        c3  server   20       listen(3, 10) = 0          | nothing ~ queues up to 11                        | - LISTEN
        c4  server   30       close(3) = 0               | nothing                                          | - CLOSED
        """
    )


def test_a_syn_that_is_lost_is_sent_again_by_the_timer() -> None:
    """The second SYN is the kernel's, on behalf of connect, because of the first; the first is lost."""
    stands(
        f"""{LISTEN}
        c5  client   100-1000170  connect(3, 10.0.0.2:7) = 0 | sent p1 waited p3
        p1  client>  110-     [S] seq 0                    | call c5 lost                             | SYN-SENT LISTEN
        p2  client>  1000110  [S] seq 0                    | kernel c5 p1 ~ SYN again: packet 1 was not acknowledged for 1000 ms
        p3  server>  1000140  [S.] seq 0, ack 1            | kernel c3 p2                             | SYN-SENT SYN-RECEIVED
        p4  client>  1000165  [.] ack 1                    | kernel c5 p3                             | ESTABLISHED SYN-RECEIVED
        """
    )


def test_a_syn_ack_that_is_lost_is_sent_again_though_its_octets_are_the_same() -> None:
    """Linux's SYN-ACKs have identification 0, so that a repeated one may equal the first: the first is lost."""
    stands(
        f"""{LISTEN}
        c5  client   100-1000160  connect(3, 10.0.0.2:7) = 0 | sent p1 waited p3
        p1  client>  110      [S] seq 0
        p2  server>  135-     [S.] seq 0, ack 1            | kernel c3 p1 lost
        p3  server>  1000135  [S.] seq 0, ack 1            | kernel c3 p2 ~ SYN-ACK again: packet 2 was not acknowledged for 1000 ms
        p4  client>  1000158  [.] ack 1                    | kernel c5 p3
        """
    )


def test_a_refused_connect_waits_for_the_reset() -> None:
    """No socket listens: the kernel answers SYN with RST, and that is what connect waited for."""
    story = stands(
        """
        c1  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  client   100-160  connect(3, 10.0.0.2:7) = -1 ECONNREFUSED (Connection refused) | sent p1 waited p2 ~ fails with ECONNREFUSED
        p1  client>  110      [S] seq 0                    | call c2 (inferred)                        | SYN-SENT CLOSED
        p2  server>  135      [R.] seq 0, ack 1, win 0     | kernel p1 ~ no socket listens on port 7   | SYN-SENT CLOSED
        """
    )
    assert dict(story.calls[1].states_after)["client"] == "CLOSED"


def test_a_connect_that_never_returned_still_owns_its_syns() -> None:
    """A killed run: the kernel told no address, so connect is inferred from the time, being the only one under way."""
    stands(
        f"""{LISTEN}
        c5  client   100-     connect(3, 10.0.0.2:7) = ?   | sent p1
        p1  client>  110-     [S] seq 0                    | call c5 (inferred) lost
        p2  client>  1000110- [S] seq 0                    | kernel c5 p1 lost ~ SYN again
        """
    )


def test_of_two_connects_under_way_none_is_guessed() -> None:
    """Neither connect returned: nothing says whose SYN it is."""
    stands(
        """
        c1  client   10       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  client   20       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
        c3  client   30-      connect(3, 10.0.0.2:7) = ?   | nothing
        c4  client   40-      connect(4, 10.0.0.2:7) = ?   | nothing
        p1  client>  50-      [S] seq 0                    | call (inferred) lost ~ a connect sends SYN
        """
    )


def test_two_clients_one_after_the_other_keep_to_themselves() -> None:
    """Each connection's packets go to its own connect, accept, write and read."""
    stands(
        f"""{LISTEN}
        c5  client        100-160  connect(3, 10.0.0.2:7) = 0        | sent p1 waited p2
        p1  client>       110      [S] seq 0                         | call c5
        p2  server>       135      [S.] seq 0, ack 1
        p3  client>       158      [.] ack 1
        c6  server        200      accept(3, 10.0.0.1:40000) = 4     | waited p3
        c7  client        210      socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 5
        c8  client:40001  300-360  connect(5, 10.0.0.2:7) = 0        | sent p4 waited p5
        p4  client:40001> 310      [S] seq 0 isn 9                   | call c8
        p5  server:40001> 335      [S.] seq 0, ack 1 isn 99          | kernel c3 p4
        p6  client:40001> 358      [.] ack 1                         | kernel c8 p5
        c9  client        400-420  write(5, "two", 3) = 3            | sent p7
        p7  client:40001> 405      [P.] seq 1:4, ack 1 "two"         | call c9[0:3]
        c10 client        430-450  write(3, "one", 3) = 3            | sent p8
        p8  client>       435      [P.] seq 1:4, ack 1 "one"         | call c10[0:3]
        c11 server        500      accept(3, 10.0.0.1:40001) = 5     | waited p6
        c12 server        510      read(4, "one", 9) = 3             | waited p8
        c13 server        520      read(5, "two", 9) = 3             | waited p7
        """
    )


def test_a_port_used_again_begins_another_connection() -> None:
    """Same addresses and ports, another initial sequence number: each SYN, write and FIN goes to its own socket."""
    stands(
        f"""{LISTEN}
        c5  client   100-160  connect(3, 10.0.0.2:7) = 0        | sent p1 waited p2
        p1  client>  110      [S] seq 0                         | call c5
        p2  server>  135      [S.] seq 0, ack 1                 | kernel c3 p1
        p3  client>  158      [.] ack 1                         | kernel c5 p2
        c6  server   200      accept(3, 10.0.0.1:40000) = 4     | waited p3
        c7  client   210-220  write(3, "old", 3) = 3            | sent p4
        p4  client>  215      [P.] seq 1:4, ack 1 "old"         | call c7[0:3]
        c8  client   240      close(3) = 0                      | sent p5
        p5  client>  240      [F.] seq 4, ack 1                 | call c8
        c9  server   270      read(4, "old", 9) = 3             | waited p4
        c10 server   280      close(4) = 0                      | sent p6
        p6  server>  280      [F.] seq 1, ack 5                 | call c10
        p7  client>  305      [.] ack 2                         | kernel p6
        c11 client   330      socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c12 client   400-460  connect(3, 10.0.0.2:7) = 0        | sent p8 waited p9
        p8  client>  410      [S] seq 0 isn 700000              | call c12                  | SYN-SENT LISTEN
        p9  server>  435      [S.] seq 0, ack 1 isn 800000      | kernel c3 p8
        p10 client>  458      [.] ack 1                         | kernel c12 p9
        c13 server   500      accept(3, 10.0.0.1:40000) = 4     | waited p10
        c14 client   510-520  write(3, "new", 3) = 3            | sent p11
        p11 client>  515      [P.] seq 1:4, ack 1 "new"         | call c14[0:3]
        c15 server   540      read(4, "new", 9) = 3             | waited p11
        """
    )


def test_a_syn_that_was_answered_in_vain_was_not_dropped() -> None:
    """SYN arrived and its SYN-ACK was lost: both come again, and no queue is blamed."""
    story = stands(
        f"""{LISTEN}
        c5  client   100-1000190  connect(3, 10.0.0.2:7) = 0
        p1  client>  110      [S] seq 0                    | call c5
        p2  server>  135-     [S.] seq 0, ack 1            | kernel c3 p1 lost
        p3  client>  1000110  [S] seq 0                    | kernel c5 p1 ~ SYN again
        p4  server>  1000135  [S.] seq 0, ack 1            | kernel c3 p2 ~ SYN-ACK again
        p5  client>  1000160  [.] ack 1                    | kernel c5 p4
        """
    )
    assert "queue" not in story.packets[2].cause.reason


def test_a_syn_that_arrived_and_was_not_answered_was_dropped() -> None:
    """The listening socket's queue was full: the SYN comes again, though it was not lost."""
    stands(
        f"""{LISTEN}
        c5  client   100-1000190  connect(3, 10.0.0.2:7) = 0
        p1  client>  110      [S] seq 0                    | call c5
        p2  client>  1000110  [S] seq 0                    | kernel c5 p1 ~ the queue (listen, call 3) is full
        p3  server>  1000135  [S.] seq 0, ack 1            | kernel c3 p2
        p4  client>  1000160  [.] ack 1                    | kernel c5 p3
        """
    )
