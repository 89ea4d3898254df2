"""Which write's octets a segment carries, and which segments a read waited for."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN


def test_an_echo_from_the_first_call_to_the_last() -> None:
    """The whole of tcp-echo: each packet's cause, each call's packets, both ends' states all the way."""
    stands(
        f"""{OPEN}
        c7  server   210-470  read(4, "hello", 5) = 5       | waited p4 ~ waits for packet 4      | ESTABLISHED ESTABLISHED
        c8  client   400-430  write(3, "hello", 5) = 5      | sent p4 ~ sends packet 4            | ESTABLISHED ESTABLISHED
        p4  client>  410      [P.] seq 1:6, ack 1 "hello"   | call c8[0:5] ~ all 5 octets of write (call 8)
        p5  server>  435      [.] ack 6                     | kernel p4 ~ acknowledges octets 1 to 5 (packet 4)
        c9  client   440-560  read(3, "hello", 5) = 5       | waited p6 ~ waits for packet 6
        c10 server   480-500  write(4, "hello", 5) = 5      | sent p6
        p6  server>  490      [P.] seq 1:6, ack 6 "hello"   | call c10[0:5]                       | ESTABLISHED ESTABLISHED
        c11 server   505-650  read(4, "", 1) = 0            | waited p8 ~ the end of the stream, FIN: waits for packet 8 | FIN-WAIT-1 CLOSE-WAIT
        p7  client>  515      [.] ack 6                     | kernel p6
        c12 client   600-620  close(3) = 0                  | sent p8 ~ (FIN)                     | FIN-WAIT-1 ESTABLISHED
        p8  client>  610      [F.] seq 6, ack 6             | call c12 ~ ends the client's direction | FIN-WAIT-1 ESTABLISHED
        p9  server>  635      [.] ack 7                     | kernel p8 ~ acknowledges FIN (packet 8) | FIN-WAIT-1 CLOSE-WAIT
        c13 server   700-710  close(4) = 0                  | sent p10                            | FIN-WAIT-2 LAST-ACK
        p10 server>  705      [F.] seq 6, ack 7             | call c13                            | FIN-WAIT-2 LAST-ACK
        p11 client>  730      [.] ack 7                     | kernel p10                          | TIME-WAIT LAST-ACK
        c14 server   800      close(3) = 0                  | nothing                             | - CLOSED
        """
    )


def test_the_same_over_ipv6() -> None:
    """Nothing depends on the IP version."""
    stands(
        """
        c1  server   0        socket(AF_INET6, SOCK_STREAM, IPPROTO_IP) = 3
        c2  server   10       bind(3, [::]:7) = 0
        c3  server   20       listen(3, 10) = 0
        c4  client   30       socket(AF_INET6, SOCK_STREAM, IPPROTO_IP) = 3
        c5  client   100-160  connect(3, [fd00::2]:7) = 0        | sent p1 waited p2
        p1  client>  110      [S] seq 0                          | call c5
        p2  server>  135      [S.] seq 0, ack 1                  | kernel c3 p1
        p3  client>  158      [.] ack 1                          | kernel c5 p2
        c6  server   200      accept(3, [fd00::1]:40000) = 4     | waited p3
        c7  client   400-430  write(3, "hello", 5) = 5           | sent p4
        p4  client>  410      [P.] seq 1:6, ack 1 "hello"        | call c7[0:5]
        """,
        ipv6=True,
    )


def test_two_writes_in_one_segment() -> None:
    """Coalescing: the segment names both, each with its octets; it left when an acknowledgment let it."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "a", 1) = 1          | sent p4
        p4  client>  410      [P.] seq 1:2, ack 1 "a"       | call c7[0:1] ~ the one octet of write (call 7)
        c8  client   421-423  write(3, "bb", 2) = 2         | sent p6 ~ together with other calls' octets
        c9  client   424-426  write(3, "ccc", 3) = 3        | sent p6
        p5  server>  435      [.] ack 2                     | kernel p4
        p6  client>  460      [P.] seq 2:7, ack 1 "bbccc"   | call c8[0:2] c9[0:3] p5 ~ held back until packet 5 came
        """
    )


def test_one_write_in_forty_segments() -> None:
    """Segmentation: every segment is the one write's, each with its own octets of it."""
    packets = "\n".join(
        f'p{4 + k} client> {410 + k} [.] seq {1 + 100 * k}:{101 + 100 * k}, ack 1 "x"*100'
        f" | call c7[{100 * k}:{100 * k + 100}] ~ 100 of the 4000 octets"
        for k in range(40)
    )
    sent = " ".join(f"p{4 + k}" for k in range(40))
    stands(
        f"""{OPEN}
        c7  client   400-460  write(3, "x"*4000, 4000) = 4000  | sent {sent}
        {packets}
        """
    )


def test_a_segment_over_the_border_of_two_writes() -> None:
    """The end of one write and the beginning of the next."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aaaa", 4) = 4       | sent p4 p5
        c8  client   421-450  write(3, "bbbb", 4) = 4       | sent p5 p6
        p4  client>  422      [.] seq 1:4, ack 1 "aaa"      | call c7[0:3]
        p5  client>  423      [.] seq 4:7, ack 1 "abb"      | call c7[3:4] c8[0:2]
        p6  client>  424      [P.] seq 7:9, ack 1 "bb"      | call c8[2:4]
        """
    )


def test_a_segment_that_left_after_its_write_is_let_go_by_what_came_since_and_by_nothing_before() -> None:
    """What arrived before the write was made cannot have held its octets back."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "late", 4) = 4       | sent p4
        p4  client>  425      [P.] seq 1:5, ack 1 "late"    | call c7[0:4]
        """
    )


def test_a_write_that_was_taken_in_part_owns_what_was_taken() -> None:
    """Of ten octets given, the kernel took four; the next write goes on from there."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "0123456789", 10) = 4  | sent p4
        p4  client>  410      [P.] seq 1:5, ack 1 "0123"      | call c7[0:4]
        c8  client   430-450  write(3, "456789", 6) = 6       | sent p5
        p5  client>  440      [P.] seq 5:11, ack 1 "456789"   | call c8[0:6]
        """
    )


def test_a_failed_write_owns_nothing() -> None:
    """EAGAIN: no octet was taken, so the next write's are the stream's next."""
    stands(
        f"""{OPEN}
        c7  client   400      write(3, "lost", 4) = -1 EAGAIN (Resource temporarily unavailable) | nothing ~ must not
        c8  client   430-450  write(3, "kept", 4) = 4         | sent p4
        p4  client>  440      [P.] seq 1:5, ack 1 "kept"      | call c8[0:4]
        """
    )


def test_octets_that_the_recorder_did_not_keep_are_known_by_their_numbers() -> None:
    """The recorder keeps a bounded part of each call's data; numbers prove the rest."""
    stands(
        f"""{OPEN}
        c7  client   400-460  write(3, "keep", 2000) = 2000             | sent p4 p5
        p4  client>  410      [.] seq 1:1001, ack 1 "keepx{"x" * 995}"  | call c7[0:1000]
        p5  client>  411      [.] seq 1001:2001, ack 1 "x"*1000         | call c7[1000:2000]
        """
    )


def test_an_empty_write_sends_nothing() -> None:
    """In a stream, no octets are no segment."""
    stands(
        f"""{OPEN}
        c7  client   400      write(3, "", 0) = 0             | nothing ~ no octets
        c8  client   430-450  write(3, "x", 1) = 1            | sent p4
        p4  client>  440      [P.] seq 1:2, ack 1 "x"         | call c8[0:1]
        """
    )


def test_a_read_that_spans_segments_and_one_that_takes_a_part() -> None:
    """A read waited for all the segments that brought its octets, and for no others."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aaabbbccc", 9) = 9    | sent p4 p5 p6
        p4  client>  410      [.] seq 1:4, ack 1 "aaa"
        p5  client>  411      [.] seq 4:7, ack 1 "bbb"
        p6  client>  412      [P.] seq 7:10, ack 1 "ccc"
        c8  server   500      read(4, "aaabb", 5) = 5         | waited p4 p5
        c9  server   510      read(4, "b", 1) = 1             | waited p5
        c10 server   520      read(4, "ccc", 9) = 3           | waited p6
        """
    )


def test_peeking_takes_nothing_from_the_stream() -> None:
    """MSG_PEEK waited for the segment as the read after it does, and moves no octet."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "aaabbb", 6) = 6         | sent p4 p5
        p4  client>  410      [.] seq 1:4, ack 1 "aaa"
        p5  client>  411      [P.] seq 4:7, ack 1 "bbb"
        c8  server   500      recv(4, "aaa", 3, MSG_PEEK) = 3   | waited p4
        c9  server   510      recv(4, "aaa", 3, 0) = 3          | waited p4
        c10 server   520      recv(4, "bb", 2, MSG_PEEK|MSG_DONTWAIT) = 2 | waited p5
        c11 client   590      close(3) = 0                      | sent p6
        p6  client>  590      [F.] seq 7, ack 1
        c12 server   620      recv(4, "bb", 2, MSG_PEEK) = 2    | waited p5
        c13 server   630      read(4, "bbb", 3) = 3             | waited p5
        c14 server   640      read(4, "", 3) = 0                | waited p6
        """
    )


def test_both_directions_have_streams_of_their_own() -> None:
    """Octets of the client's writes and of the server's never mix, and data carries acknowledgments along."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "ping", 4) = 4         | sent p4
        p4  client>  410      [P.] seq 1:5, ack 1 "ping"      | call c7[0:4]
        c8  server   440-460  write(4, "pong", 4) = 4         | sent p5
        p5  server>  450      [P.] seq 1:5, ack 5 "pong"      | call c8[0:4]
        c9  client   480-500  write(3, "ping", 4) = 4         | sent p6
        p6  client>  490      [P.] seq 5:9, ack 5 "ping"      | call c9[0:4]
        p7  server>  515      [.] ack 9                       | kernel p6 ~ acknowledges octets 5 to 8 (packet 6)
        """
    )


def test_sequence_numbers_that_cross_two_to_the_32() -> None:
    """Relative numbers go on where the absolute ones begin again at 0, in both directions."""
    stands(
        f"""
        c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  server   10       bind(3, 0.0.0.0:7) = 0
        c3  server   20       listen(3, 10) = 0
        c4  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c5  client   100-160  connect(3, 10.0.0.2:7) = 0           | sent p1 waited p2
        p1  client>  110      [S] seq 0 isn {2**32 - 3}            | call c5
        p2  server>  135      [S.] seq 0, ack 1 isn {2**32 - 1}    | kernel c3 p1
        p3  client>  158      [.] ack 1                            | kernel c5 p2
        c6  server   200      accept(3, 10.0.0.1:40000) = 4        | waited p3
        c7  client   400-420  write(3, "abcdef", 6) = 6            | sent p4 p5
        p4  client>  410      [.] seq 1:4, ack 1 "abc"             | call c7[0:3]
        p5  client>  411      [P.] seq 4:7, ack 1 "def"            | call c7[3:6]
        p6  server>  435      [.] ack 7                            | kernel p4 p5 ~ octets 1 to 6
        c8  server   440      read(4, "abcdef", 6) = 6             | waited p4 p5
        c9  client   500      close(3) = 0                         | sent p7
        p7  client>  500      [F.] seq 7, ack 1                    | call c9
        p8  server>  525      [.] ack 8                            | kernel p7 ~ acknowledges FIN
        """
    )


def test_a_forked_server_s_child_writes_on_the_same_socket() -> None:
    """Descriptors are copied, the socket is one: the last close sends FIN."""
    stands(
        f"""{OPEN}
        c7  server   210      fork() = 23                     | nothing ~ holds the same sockets
        c8  server   220      dup(4) = 5
        c9  server   230      close(4) = 0                    | nothing ~ gives the descriptor back
        c10 server   300-320  write(5, "hi", 2) = 2           | sent p4
        p4  server>  310      [P.] seq 1:3, ack 1 "hi"        | call c10[0:2]
        c11 server   400-420  close(5) = 0                    | sent p5
        p5  server>  410      [F.] seq 3, ack 1               | call c11
        """
    )
