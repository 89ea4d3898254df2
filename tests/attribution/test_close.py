"""How a connection ends in order: whose call sent FIN, half a close, both closes at once."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands
from tests.attribution.ladders import OPEN


def test_fin_rides_on_the_last_data() -> None:
    """The segment names the write and the close, and the write's octets only."""
    stands(
        f"""{OPEN}
        c7  client   400-401  write(3, "bye", 3) = 3          | sent p4
        c8  client   402-420  close(3) = 0                    | sent p4
        p4  client>  410      [FP.] seq 1:4, ack 1 "bye"      | call c7[0:3] c8 ~ FIN: close (call 8)  | FIN-WAIT-1 ESTABLISHED
        p5  server>  435      [.] ack 5                       | kernel p4 ~ acknowledges octets 1 to 3 and FIN | FIN-WAIT-1 CLOSE-WAIT
        c9  server   500      read(4, "bye", 9) = 3           | waited p4
        c10 server   510      read(4, "", 9) = 0              | waited p4
        """
    )


def test_half_a_close_ends_one_direction_and_the_other_goes_on() -> None:
    """shutdown sends FIN; the peer's data still arrives; close after it sends nothing."""
    stands(
        f"""{OPEN}
        c7  client   400-420  shutdown(3, SHUT_WR) = 0        | sent p4                   | FIN-WAIT-1 ESTABLISHED
        p4  client>  410      [F.] seq 1, ack 1               | call c7 ~ shutdown (call 7) ends the client's direction
        p5  server>  435      [.] ack 2                       | kernel p4                 | FIN-WAIT-1 CLOSE-WAIT
        c8  server   440      read(4, "", 9) = 0              | waited p4
        c9  server   500-520  write(4, "still", 5) = 5        | sent p6                   | FIN-WAIT-2 CLOSE-WAIT
        p6  server>  510      [P.] seq 1:6, ack 2 "still"     | call c9[0:5]
        p7  client>  535      [.] ack 6                       | kernel p6
        c10 client   540      read(3, "still", 9) = 5         | waited p6
        c11 server   600-620  close(4) = 0                    | sent p8                   | FIN-WAIT-2 LAST-ACK
        p8  server>  610      [F.] seq 6, ack 2               | call c11
        p9  client>  635      [.] ack 7                       | kernel p8                 | TIME-WAIT LAST-ACK
        c12 client   700      close(3) = 0                    | nothing ~ FIN was sent before | TIME-WAIT CLOSED
        """
    )


def test_shutting_down_reading_sends_nothing() -> None:
    """SHUT_RD is between the process and its kernel; the later close sends FIN."""
    stands(
        f"""{OPEN}
        c7  client   400      shutdown(3, SHUT_RD) = 0        | nothing
        c8  client   500-520  close(3) = 0                    | sent p4
        p4  client>  510      [F.] seq 1, ack 1               | call c8
        """
    )


def test_a_process_that_ends_leaves_the_kernel_to_close() -> None:
    """No close was called: FIN is the kernel's, at the process's end."""
    stands(
        f"""{OPEN}
        c7  client   400-     exit_group(0) = ?
        p4  client>  410      [F.] seq 1, ack 1               | call c7 ~ the kernel closes what the process left open | FIN-WAIT-1 ESTABLISHED
        """
    )


def test_fin_waits_for_the_data_before_it() -> None:
    """FIN that overtakes lost data does not move the receiver until the hole is filled."""
    stands(
        f"""{OPEN}
        c7  client   400-410     write(3, "bye", 3) = 3
        p4  client>  405-        [P.] seq 1:4, ack 1 "bye"    | call c7[0:3] lost
        c8  client   420-440     close(3) = 0                 | sent p5
        p5  client>  430         [F.] seq 4, ack 1            | call c8          | FIN-WAIT-1 ESTABLISHED
        p6  server>  460         [.] ack 1                    | kernel p5        | FIN-WAIT-1 ESTABLISHED
        p7  client>  210405      [P.] seq 1:4, ack 1 "bye"    | kernel c7[0:3] p4 p6 | FIN-WAIT-1 ESTABLISHED
        p8  server>  210430      [.] ack 5                    | kernel p5 p7     | FIN-WAIT-1 CLOSE-WAIT
        """
    )


def test_both_close_at_once() -> None:
    """The two FINs cross: both ends go through CLOSING to TIME-WAIT (RFC 9293 section 3.6, figure 13)."""
    stands(
        f"""{OPEN}
        c7  client   400-420  close(3) = 0                    | sent p4
        c8  server   401-421  close(4) = 0                    | sent p5
        p4  client>  410      [F.] seq 1, ack 1               | call c7          | FIN-WAIT-1 ESTABLISHED
        p5  server>  411      [F.] seq 1, ack 1               | call c8          | FIN-WAIT-1 FIN-WAIT-1
        p6  server>  432      [.] ack 2                       | kernel p4        | CLOSING CLOSING
        p7  client>  433      [.] ack 2                       | kernel p5        | CLOSING CLOSING
        c9  server   500      close(3) = 0                    | nothing
        """
    )
