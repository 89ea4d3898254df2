"""Associations: which call or chunk each SCTP packet is due to, what each call waited for, the states between."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands

LISTEN = """
        c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3
        c2  server   10       bind(3, 0.0.0.0:7) = 0
        c3  server   20       listen(3, 10) = 0
        c4  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3"""

SET_UP = f"""{LISTEN}
        c5  client   100-260  connect(3, 10.0.0.2:7) = 0
        p1  client>  110      INIT
        p2  server>  140      INIT-ACK
        p3  client>  170      COOKIE-ECHO
        p4  server>  200      COOKIE-ACK
        c6  server   300      accept(3, 10.0.0.1:40000) = 4"""


def test_four_steps_set_an_association_up_and_the_server_keeps_no_state_before_the_third() -> None:
    """INIT is connect's; INIT ACK and COOKIE ACK are given for the listening socket; accept awaits COOKIE ECHO."""
    stands(
        f"""{LISTEN}
        c5  client   100-260  connect(3, 10.0.0.2:7) = 0        | sent p1 waited p2 p4 ~ (INIT ACK, COOKIE ACK) | ESTABLISHED ESTABLISHED
        p1  client>  110      INIT         | call c5         | COOKIE-WAIT CLOSED
        p2  server>  140      INIT-ACK     | kernel c3 p1 ~ keeps no state    | COOKIE-WAIT CLOSED
        p3  client>  170      COOKIE-ECHO  | kernel c5 p2    | COOKIE-ECHOED CLOSED
        p4  server>  200      COOKIE-ACK   | kernel c3 p3 ~ no accept is needed | COOKIE-ECHOED ESTABLISHED
        c6  server   300      accept(3, 10.0.0.1:40000) = 4     | waited p3 ~ had come before: no wait | ESTABLISHED ESTABLISHED
        """
    )


def test_each_send_is_a_message_and_a_packet_may_carry_several() -> None:
    """Two messages in one packet, one with COOKIE ECHO's neighbour; TSNs cross 2^32; SACK names what came."""
    stands(
        f"""{SET_UP}
        c7  client   400      write(3, "first", 5) = 5                                     | sent p5
        p5  client>  410      DATA BE tsn 0 "first"                                        | call c7[0:5] ~ all 5 octets of write (call 7)
        p6  server>  450      SACK 0                                                       | kernel p5 ~ acknowledges TSN 0 (packet 5)
        c8  client   500      write(3, "second", 6) = 6                                    | sent p7
        c9  client   510      sendmsg(3, NULL, ["third"], [SCTP_SNDRCV, sinfo_stream=2], 0) = 5 | sent p7
        p7  client>  520      DATA BE tsn 1 ssn 1 "second" + DATA BE tsn 2 sid 2 "third"   | call c8[0:6] c9[0:5]
        p8  server>  550      SACK 2                                                       | kernel p7 ~ acknowledges TSN 1 to 2
        c10 server   600      read(4, "first", 4096) = 5                                   | waited p5 ~ takes the message that packet 5 brought
        c11 server   610      read(4, "second", 4096) = 6                                  | waited p7
        c12 server   620      recvmsg(4, 10.0.0.1:40000, ["third"], [SCTP_SNDRCV, sinfo_stream=2], MSG_EOR, 0) = 5 | waited p7
        """
    )


def test_a_large_message_goes_in_fragments_and_may_be_read_in_parts() -> None:
    """B, neither, E: each fragment has its octets of the call; a small buffer takes a part of the message."""
    stands(
        f"""{SET_UP}
        c7  client   400      write(3, "abcdefghi", 9) = 9      | sent p5 p7 p8
        p5  client>  410      DATA B tsn 0 "abcd"               | call c7[0:4] ~ fragment 1 of 3: 4 of the 9 octets
        p6  client>  411      DATA UBE tsn 9 "?"                | unknown ~ no recorded call sent TSN 9
        p7  client>  412      DATA E tsn 2 "i"                  | call c7[8:9] ~ fragment 3 of 3
        p8  client>  413      DATA - tsn 1 "efgh"               | call c7[4:8] ~ fragment 2 of 3
        c8  server   500      read(4, "abcde", 5) = 5           | waited p5 p7 p8 ~ takes 5 of the 9 octets of the message
        c9  server   510      read(4, "fghi", 5) = 4            | waited p5 p7 p8
        """
    )


def test_a_loss_on_one_stream_holds_up_that_stream_alone() -> None:
    """Stream 2's message is read at once; stream 1's second one waits for its first, sent again after three reports."""
    stands(
        f"""{SET_UP}
        c7  client   400      sendmsg(3, NULL, ["lost"], [SCTP_SNDRCV, sinfo_stream=1], 0) = 4
        p5  client>  410-     DATA BE tsn 0 sid 1 "lost"            | call c7[0:4] lost
        c8  client   420      sendmsg(3, NULL, ["next"], [SCTP_SNDRCV, sinfo_stream=1], 0) = 4
        p6  client>  430      DATA BE tsn 1 sid 1 ssn 1 "next"      | call c8[0:4]
        p7  server>  460      SACK -1 gaps 2-2                      | kernel p6 ~ acknowledges TSN 1 (packet 6); TSN 0 is missing
        c9  client   490      sendmsg(3, NULL, ["else"], [SCTP_SNDRCV, sinfo_stream=2], 0) = 4
        p8  client>  500      DATA BE tsn 2 sid 2 "else"            | call c9[0:4]
        p9  server>  530      SACK -1 gaps 2-3                      | kernel p8 ~ acknowledges TSN 2
        c10 server   540      read(4, "else", 9) = 4                | waited p8
        c11 client   550      sendmsg(3, NULL, ["more"], [SCTP_SNDRCV, sinfo_stream=2], 0) = 4
        p10 client>  560      DATA BE tsn 3 sid 2 ssn 1 "more"
        p11 server>  590      SACK -1 gaps 2-4
        p12 client>  620      DATA BE tsn 0 sid 1 "lost"            | kernel c7[0:4] p5 p7 p9 p11 ~ (fast retransmit)
        p13 server>  650      SACK 3                                | kernel p12 ~ acknowledges TSN 0
        c12 server   660      read(4, "more", 9) = 4                | waited p10
        c13 server   670      read(4, "lost", 9) = 4                | waited p12
        c14 server   680      read(4, "next", 9) = 4                | waited p6 p12 ~ an earlier message of stream 1 came only with packet 12
        """
    )


def test_what_nobody_acknowledges_is_sent_again_by_the_timer() -> None:
    """T3-rtx for data, T1-init for INIT; a duplicate is told of; both are the transport's, for the same call."""
    stands(
        f"""{LISTEN}
        c5  client   100-1000260  connect(3, 10.0.0.2:7) = 0    | sent p1 waited p3 p5
        p1  client>  110-     INIT                              | call c5 lost
        p2  client>  1000110  INIT                              | kernel c5 p1 ~ INIT again (T1-init): packet 1 was not answered for 1000 ms
        p3  server>  1000140  INIT-ACK                          | kernel c3 p2
        p4  client>  1000170  COOKIE-ECHO                       | kernel c5 p3
        p5  server>  1000200  COOKIE-ACK                        | kernel c3 p4
        c6  client   1000400  write(3, "x", 1) = 1              | sent p6
        p6  client>  1000410  DATA BE tsn 0 "x"
        p7  server>  1000440- SACK 0                            | kernel p6 lost
        p8  client>  2000410  DATA BE tsn 0 "x"                 | kernel c6[0:1] p6 ~ not acknowledged for 1000 ms (T3-rtx)
        p9  server>  2000440  SACK 0 dups 0                     | kernel p8 ~ TSN 0 came once more (packet 8)
        """
    )


def test_close_ends_in_three_steps_and_neither_side_may_send_any_more() -> None:
    """SHUTDOWN is close's, once all is acknowledged; the peer answers by itself; the peer's own close sends nothing."""
    stands(
        f"""{SET_UP}
        c7  client   400      close(3) = 0                      | sent p5 ~ (SHUTDOWN)
        p5  client>  410      SHUTDOWN -1                       | call c7                             | SHUTDOWN-SENT ESTABLISHED
        p6  server>  440      SHUTDOWN-ACK                      | kernel p5 ~ no close is needed      | SHUTDOWN-SENT SHUTDOWN-ACK-SENT
        p7  client>  470      SHUTDOWN-COMPLETE                 | kernel p6                           | CLOSED SHUTDOWN-ACK-SENT
        c8  server   500      read(4, "", 4096) = 0             | waited p5 ~ no message will come any more | CLOSED CLOSED
        c9  server   510      close(4) = 0                      | nothing ~ the peer had ended the association (packet 5)
        """
    )


def test_a_close_with_data_under_way_waits_in_shutdown_pending() -> None:
    """SHUTDOWN leaves when the last SACK has come: it is still close's, since that packet."""
    stands(
        f"""{SET_UP}
        c7  client   400      write(3, "x", 1) = 1
        p5  client>  410      DATA BE tsn 0 "x"
        c8  client   420      close(3) = 0                      | sent p7                             | SHUTDOWN-PENDING ESTABLISHED
        p6  server>  440      SACK 0
        p7  client>  470      SHUTDOWN -1                       | call c8 p6 ~ since packet 6 came    | SHUTDOWN-SENT ESTABLISHED
        p8  server>  500      SHUTDOWN-ACK
        p9  client>  530      SHUTDOWN-COMPLETE
        """
    )


def test_both_may_shut_down_at_once() -> None:
    """Two SHUTDOWNs cross: each end answers the other's, and goes through SHUTDOWN-ACK-SENT."""
    stands(
        f"""{SET_UP}
        c7  client   400      close(3) = 0                      | sent p5
        c8  server   401      close(4) = 0                      | sent p6
        p5  client>  410      SHUTDOWN -1                       | call c7        | SHUTDOWN-SENT SHUTDOWN-PENDING
        p6  server>  411      SHUTDOWN -1                       | call c8        | SHUTDOWN-SENT SHUTDOWN-SENT
        p7  server>  440      SHUTDOWN-ACK                      | kernel p5      | SHUTDOWN-ACK-SENT SHUTDOWN-ACK-SENT
        p8  client>  441      SHUTDOWN-ACK                      | kernel p6      | SHUTDOWN-ACK-SENT SHUTDOWN-ACK-SENT
        p9  server>  470      SHUTDOWN-COMPLETE                 | kernel p8      | CLOSED CLOSED
        """
    )


def test_abort_is_a_lingering_closes_or_a_sends() -> None:
    """SO_LINGER {1, 0}: close aborts, and the peer's read reports it."""
    stands(
        f"""{SET_UP}
        c7  client   400      setsockopt(3, SOL_SOCKET, SO_LINGER, [1, 0]) = 0
        c8  client   410      close(3) = 0                      | sent p5 ~ (ABORT)                          | CLOSED ESTABLISHED
        p5  client>  420      ABORT cause 12                    | call c8 ~ with SO_LINGER set to 0 seconds  | CLOSED ESTABLISHED
        c9  server   500      read(4, NULL, 4096) = -1 ECONNRESET (Connection reset by peer)  | waited p5 ~ reports the ABORT  | CLOSED CLOSED
        """
    )


def test_sendmsg_with_sctp_abort_aborts() -> None:
    """The flag of the ancillary data says so."""
    stands(
        f"""{SET_UP}
        c7  client   400      sendmsg(3, NULL, ["why"], [SCTP_SNDRCV, sinfo_flags=SCTP_ABORT], 0) = 3   | sent p5
        p5  client>  410      ABORT cause 12                    | call c7 ~ sendmsg (call 7) with SCTP_ABORT
        """
    )


def test_init_to_a_port_where_nobody_listens_is_refused() -> None:
    """ABORT is the transport's answer to INIT; connect reports it."""
    stands(
        """
        c1  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3                          | nothing | CLOSED -
        c2  client   100-160  connect(3, 10.0.0.2:7) = -1 ECONNREFUSED (Connection refused)           | sent p1 waited p2 | CLOSED CLOSED
        p1  client>  110      INIT                              | call c2                             | COOKIE-WAIT CLOSED
        p2  server>  140      ABORT                             | kernel p1 ~ no socket listens on port 7: the kernel refuses INIT
        """
    )


def test_an_abort_with_a_wrong_tag_ends_nothing() -> None:
    """RFC 9260 section 8.5: who does not know the tag is not heard."""
    stands(
        f"""{SET_UP}
        p5  server>  400      ABORT tag 0xbad
        c7  client   480      close(3) = 0                      | sent p6
        p6  client>  500      SHUTDOWN -1                       | call c7                             | SHUTDOWN-SENT CLOSED
        """
    )


def test_a_packet_out_of_the_blue_is_answered_with_its_own_tag() -> None:
    """T: the tag is the one that came; no association knows the packet."""
    stands(
        """
        c1  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3
        p1  client>  110      COOKIE-ACK tag 0x77               | kernel ~ is the one that it gave
        p2  server>  140      ABORT T tag 0x77                  | kernel p1 ~ (out of the blue)
        """
    )


def test_heartbeats_are_the_timers_and_are_answered() -> None:
    """A path that is idle is asked; an address that the set-up named is verified first."""
    stands(
        f"""{LISTEN}
        c5  client   100-260  connect(3, 10.0.0.2:7) = 0
        p1  client>  110      INIT also 10.0.1.1
        p2  server>  140      INIT-ACK also 10.0.1.2
        p3  client>  170      COOKIE-ECHO
        p4  server>  200      COOKIE-ACK
        p5  client>  400      from 10.0.1.1 to 10.0.1.2: HEARTBEAT      | kernel ~ path verification
        p6  server>  430      from 10.0.1.2 to 10.0.1.1: HEARTBEAT-ACK  | kernel p5 ~ answers HEARTBEAT (packet 5)
        p7  client>  30000400 HEARTBEAT                                 | kernel ~ heartbeat timer: is the path to 10.0.0.2 alive?
        p8  server>  30000430 HEARTBEAT-ACK                             | kernel p7
        c6  client   30000500 write(3, "x", 1) = 1                      | sent p9
        p9  client>  30000510 from 10.0.1.1 to 10.0.1.2: DATA BE tsn 0 "x"  | call c6[0:1] | ESTABLISHED ESTABLISHED
        """
    )


def test_a_heartbeat_is_again_only_where_its_own_path_did_not_answer() -> None:
    """Another path's HEARTBEAT ACK in between changes nothing: each path has its own."""
    stands(
        f"""{SET_UP}
        p5  client>  400      HEARTBEAT
        p6  server>  430      HEARTBEAT-ACK
        p7  client>  500      from 10.0.1.1 to 10.0.1.2: HEARTBEAT
        p8  server>  530      from 10.0.1.2 to 10.0.1.1: HEARTBEAT-ACK
        p9  client>  30000400 HEARTBEAT                                 | kernel ~ heartbeat timer: is the path to 10.0.0.2
        p10 server>  30000430 HEARTBEAT-ACK
        p11 client>  30000500-  from 10.0.1.1 to 10.0.1.2: HEARTBEAT    | kernel lost ~ heartbeat timer: is the path to 10.0.1.2
        p12 client>  31000500 from 10.0.1.1 to 10.0.1.2: HEARTBEAT      | kernel p11 ~ heartbeat again: packet 11 was not answered
        """
    )


def test_a_one_to_many_socket_sets_associations_up_by_sending() -> None:
    """sendmsg to an address sends INIT, then the message; both associations' messages come by one descriptor."""
    stands(
        """
        c1  server   0        socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP) = 3
        c2  server   10       bind(3, 0.0.0.0:7) = 0
        c3  server   20       listen(3, 10) = 0
        c4  client   30       socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP) = 3
        c5  client   100-300  sendmsg(3, 10.0.0.2:7, ["one"], [], 0) = 3      | sent p1 p3 ~ sets an association up
        p1  client>  110      INIT                                            | call c5
        p2  server>  140      INIT-ACK                                        | kernel c3 p1
        p3  client>  170      COOKIE-ECHO + DATA BE tsn 0 "one"               | call c5[0:3] p2
        p4  server>  200      COOKIE-ACK + SACK 0                             | kernel c3 p3
        c6  client:40001 400  socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP) = 4
        c7  client:40001 500-700  sendmsg(4, 10.0.0.2:7, ["two"], [], 0) = 3  | sent p5 p7
        p5  client:40001> 510  INIT                                           | call c7
        p6  server:40001> 540  INIT-ACK                                       | kernel c3 p5
        p7  client:40001> 570  COOKIE-ECHO + DATA BE tsn 0 "two"              | call c7[0:3] p6
        p8  server:40001> 600  COOKIE-ACK + SACK 0
        c8  server   800      recvmsg(3, 10.0.0.1:40000, ["one"], [], MSG_EOR, 0) = 3   | waited p3
        c9  server   810      recvmsg(3, 10.0.0.1:40001, ["two"], [], MSG_EOR, 0) = 3   | waited p7
        c10 server   900      getsockopt(3, SOL_SCTP, SCTP_SOCKOPT_PEELOFF, 1) = 5      | nothing
        """
    )


def test_a_sack_of_what_was_never_sent_costs_nothing() -> None:
    """A cumulative TSN far ahead, and gaps behind it, from whoever made the file: told as it stands, at once."""
    stands(
        f"""{SET_UP}
        p5  server>  400      SACK 2000000000 gaps 2-3,60000-65535      | kernel (inferred) ~ acknowledges TSN 0 to 2000000000, 2000000002 to 2000000003
        """
    )
