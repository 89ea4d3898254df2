"""The examples of RFC 9293, sections 3.5 and 3.6, state by state; figure and line numbers are the RFC's."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import LISTEN, OPEN


def test_figure_6_the_basic_handshake() -> None:
    """Three segments, then data."""
    stands(
        f"""{LISTEN}
        c5  client   100-160  connect(3, 10.0.0.2:7) = 0
        p1  client>  110      [S] seq 0                       | call c5          | SYN-SENT LISTEN
        p2  server>  135      [S.] seq 0, ack 1               | kernel c3 p1     | SYN-SENT SYN-RECEIVED
        p3  client>  158      [.] ack 1                       | kernel c5 p2     | ESTABLISHED SYN-RECEIVED
        c6  client   180-200  write(3, "x", 1) = 1
        p4  client>  190      [P.] seq 1:2, ack 1 "x"         | call c6[0:1]     | ESTABLISHED ESTABLISHED
        c7  server   300      accept(3, 10.0.0.1:40000) = 4
        """
    )


def test_figure_7_both_open_at_once() -> None:
    """The SYNs cross; each SYN-ACK answers the other's SYN, and repeats no SYN of its own."""
    stands(
        """
        c1  client   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  server   10       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c3  server   20       bind(3, 10.0.0.2:7) = 0
        c4  client   100-160  connect(3, 10.0.0.2:7) = 0
        c5  server   101-161  connect(3, 10.0.0.1:40000) = 0
        p1  client>  110      [S] seq 0                       | call c4          | SYN-SENT CLOSED
        p2  server>  111      [S] seq 0                       | call c5          | SYN-SENT SYN-SENT
        p3  client>  132      [S.] seq 0, ack 1               | kernel p2 ~ answers SYN (packet 2)  | SYN-RECEIVED SYN-RECEIVED
        p4  server>  133      [S.] seq 0, ack 1               | kernel p1 ~ answers SYN (packet 1)  | SYN-RECEIVED SYN-RECEIVED
        c6  client   200-220  write(3, "x", 1) = 1
        p5  client>  210      [P.] seq 1:2, ack 1 "x"         | call c6[0:1]     | ESTABLISHED ESTABLISHED
        """
    )


def test_both_open_at_once_and_one_acknowledges_without_syn() -> None:
    """In place of SYN-ACK, ACK: what it acknowledges is SYN, and no third step of three."""
    stands(
        """
        p1  client>  100      [S] seq 0
        p2  server>  101      [S] seq 0
        p3  client>  132      [S.] seq 0, ack 1               | kernel p2
        p4  server>  133      [.] seq 1, ack 1                | kernel p1 ~ acknowledges SYN (packet 1), which has crossed its own
        """
    )


def test_figure_12_a_normal_close() -> None:
    """The one that closes first ends in TIME-WAIT, the other is CLOSED by the last acknowledgment."""
    story = stands(
        f"""{OPEN}
        c7  client   400-420  close(3) = 0
        p4  client>  410      [F.] seq 1, ack 1               | call c7          | FIN-WAIT-1 ESTABLISHED
        p5  server>  435      [.] ack 2                       | kernel p4        | FIN-WAIT-1 CLOSE-WAIT
        c8  server   500-520  close(4) = 0
        p6  server>  510      [F.] seq 1, ack 2               | call c8          | FIN-WAIT-2 LAST-ACK
        p7  client>  535      [.] ack 2                       | kernel p6        | TIME-WAIT LAST-ACK
        c9  client   600      close(3) = 0                    | nothing          | TIME-WAIT CLOSED
        """
    )
    assert dict(story.calls[8].states) == {"client": "TIME-WAIT", "server": "CLOSED"}


def test_a_close_in_three_segments() -> None:
    """The acknowledgment of FIN rides on the other's FIN: FIN-WAIT-1 goes to TIME-WAIT at once (note 2 of figure 5)."""
    stands(
        f"""{OPEN}
        c7  client   400-420  close(3) = 0
        p4  client>  410      [F.] seq 1, ack 1               | call c7          | FIN-WAIT-1 ESTABLISHED
        c8  server   432-440  close(4) = 0
        p5  server>  435      [F.] seq 1, ack 2               | call c8          | FIN-WAIT-1 LAST-ACK
        p6  client>  460      [.] ack 2                       | kernel p5        | TIME-WAIT LAST-ACK
        c9  client   600      close(3) = 0                    | nothing          | TIME-WAIT CLOSED
        """
    )


def test_figure_13_both_close_at_once() -> None:
    """FIN-WAIT-1, CLOSING, TIME-WAIT at both ends."""
    stands(
        f"""{OPEN}
        c7  client   400-420  close(3) = 0
        c8  server   401-421  close(4) = 0
        p4  client>  410      [F.] seq 1, ack 1               | call c7          | FIN-WAIT-1 ESTABLISHED
        p5  server>  411      [F.] seq 1, ack 1               | call c8          | FIN-WAIT-1 FIN-WAIT-1
        p6  server>  432      [.] ack 2                       | kernel p4        | CLOSING CLOSING
        p7  client>  433      [.] ack 2                       | kernel p5        | CLOSING CLOSING
        c9  client   600      close(3) = 0                    | nothing          | TIME-WAIT TIME-WAIT
        """
    )
