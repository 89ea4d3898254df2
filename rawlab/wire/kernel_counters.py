"""The kernel's own counters of a network namespace, read and put into words (proc_pid_net(5), RFC 4293, 4022, 4113;
Linux, snmp_counter.rst).

    Tcp: ActiveOpens PassiveOpens …        TcpExt: SyncookiesSent …        Ip6InReceives   12
    Tcp: 0 4 …                             TcpExt: 3129 …

What does not belong here: reading /proc (`live`).
"""

from __future__ import annotations

from itertools import pairwise

MEANINGS = {
    "Ip.InReceives": "IPv4 packets that came in",
    "Ip.InHdrErrors": "dropped: an error in the IPv4 header, as a wrong checksum",
    "Ip.InAddrErrors": "dropped: the destination is no address of this host, which forwards nothing",
    "Ip.InUnknownProtos": "delivered to nobody: a protocol that the kernel does not speak",
    "Ip.InDiscards": "dropped for want of room, or by a filter",
    "Ip.InDelivers": "IPv4 packets handed up to TCP, UDP, ICMP, …",
    "Ip.OutRequests": "IPv4 packets that TCP, UDP, ICMP, … asked to send",
    "Ip.OutDiscards": "dropped on the way out, as when nobody answers ARP",
    "Ip.OutNoRoutes": "not sent: no route to their destination",
    "Ip.ReasmReqds": "fragments that came in",
    "Ip.ReasmFails": "fragments that were given up",
    "IpExt.InNoRoutes": "dropped: no route for them",
    "IpExt.InTruncatedPkts": "dropped: shorter than their header says",
    "IpExt.InCsumErrors": "dropped: a wrong IPv4 header checksum",
    "Icmp.InMsgs": "ICMP messages that came in",
    "Icmp.InErrors": "dropped: an ICMP error, as a wrong checksum",
    "Icmp.InCsumErrors": "dropped: a wrong ICMP checksum",
    "Icmp.InEchos": "echo requests that came in",
    "Icmp.OutMsgs": "ICMP messages that it sent, or tried to",
    "Icmp.OutErrors": "ICMP messages that could not be sent",
    "Icmp.OutRateLimitGlobal": "ICMP messages not sent: more than icmp_msgs_per_sec allows",
    "Icmp.OutRateLimitHost": "ICMP messages not sent: more than icmp_ratelimit allows one host",
    "Icmp.OutDestUnreachs": "destination unreachable sent",
    "Icmp.OutEchoReps": "echo replies sent",
    "Tcp.PassiveOpens": "connections that came to SYN-RECEIVED from LISTEN",
    "Tcp.AttemptFails": "handshakes that failed",
    "Tcp.EstabResets": "connections ended by a RST",
    "Tcp.InSegs": "TCP segments that came in",
    "Tcp.OutSegs": "TCP segments handed down to IP, those sent again not counted",
    "Tcp.RetransSegs": "TCP segments sent again",
    "Tcp.InErrs": "TCP segments with an error, as a wrong checksum",
    "Tcp.InCsumErrors": "dropped: a wrong TCP checksum",
    "Tcp.OutRsts": "RST sent",
    "Udp.InDatagrams": "datagrams that a socket took",
    "Udp.NoPorts": "datagrams to a port that no socket has",
    "Udp.InErrors": "datagrams that no socket could take",
    "Udp.OutDatagrams": "datagrams sent",
    "Udp.RcvbufErrors": "dropped: the socket's receive buffer was full",
    "Udp.InCsumErrors": "dropped: a wrong UDP checksum",
    "TcpExt.SyncookiesSent": "SYN-ACKs made with a SYN cookie: nothing is remembered of the SYN (RFC 4987)",
    "TcpExt.SyncookiesRecv": "ACKs that brought a right SYN cookie back",
    "TcpExt.SyncookiesFailed": "ACKs that brought none, or a wrong one",
    "TcpExt.EmbryonicRsts": "RST in SYN-RECEIVED",
    "TcpExt.ListenOverflows": "dropped: the accept queue was full",
    "TcpExt.ListenDrops": "SYN or ACK to a listening socket, dropped for any reason",
    "TcpExt.TCPReqQFullDoCookies": "SYNs that found the SYN queue full: answered with a SYN cookie",
    "TcpExt.TCPReqQFullDrop": "dropped: the SYN queue was full, and there are no SYN cookies",
    "TcpExt.TCPBacklogDrop": "dropped: the socket was busy and its backlog full",
    "TcpExt.TCPTimeouts": "retransmission timers that ran out",
    "TcpExt.TCPSynRetrans": "SYN or SYN-ACK sent again",
    "TcpExt.TCPChallengeACK": "challenge ACKs (RFC 5961)",
    "TcpExt.TCPSYNChallenge": "SYN on an open connection, answered with a challenge ACK",
    "TcpExt.TCPACKSkippedSynRecv": "ACKs not sent in SYN-RECEIVED: too many",
    "TcpExt.TCPRetransFail": "retransmissions that could not be sent",
    "TcpExt.LockDroppedIcms": "ICMP errors dropped: the socket was busy",
    "TcpExt.OutOfWindowIcmps": "ICMP errors dropped: not about what is under way",
    "TcpExt.IPReversePathFilter": "dropped: the source is not where the route to it leads (rp_filter)",
    "Ip6.InReceives": "IPv6 packets that came in",
    "Ip6.InHdrErrors": "dropped: an error in the IPv6 header",
    "Ip6.InAddrErrors": "dropped: the destination is no address of this host, which forwards nothing",
    "Ip6.InDelivers": "IPv6 packets handed up to TCP, UDP, ICMPv6, …",
    "Ip6.OutRequests": "IPv6 packets that TCP, UDP, ICMPv6, … asked to send",
    "Ip6.OutNoRoutes": "not sent: no route to their destination",
    "Icmp6.InMsgs": "ICMPv6 messages that came in",
    "Icmp6.InErrors": "dropped: an ICMPv6 error",
    "Icmp6.InCsumErrors": "dropped: a wrong ICMPv6 checksum",
    "Icmp6.OutMsgs": "ICMPv6 messages sent",
    "Icmp6.OutRateLimitHost": "ICMPv6 messages not sent: more than ratelimit allows",
    "Icmp6.InEchos": "ICMPv6 echo requests that came in",
    "Icmp6.OutDestUnreachs": "ICMPv6 destination unreachable sent",
    "Icmp6.OutEchoReplies": "ICMPv6 echo replies sent",
    "Udp6.InDatagrams": "datagrams over IPv6 that a socket took",
    "Udp6.NoPorts": "datagrams over IPv6 to a port that no socket has",
    "Udp6.InErrors": "datagrams over IPv6 that no socket could take",
    "Udp6.RcvbufErrors": "dropped: the socket's receive buffer was full",
}
"those that a flood may move, in words; 'Tcp.InSegs' is `InSegs` of the lines that begin with `Tcp:`"

_GROUPS6 = ("UdpLite6", "Icmp6", "Udp6", "Ip6")


def parse(text: str) -> dict[str, int]:
    """All counters in the text of netstat, snmp or snmp6."""
    found: dict[str, int] = {}
    lines = text.splitlines()
    for names, values in pairwise(lines):
        group, colon, rest = names.partition(": ")
        if colon and values.startswith(f"{group}: ") and not rest[:1].isdigit() and rest[:1] != "-":
            numbers = values.partition(": ")[2].split()
            found |= {f"{group}.{name}": int(value) for name, value in zip(rest.split(), numbers, strict=False)}
    for name, value in (pair for line in lines if len(pair := line.split()) == 2):
        group = next((known for known in _GROUPS6 if name.startswith(known)), "")
        if group and value.isdecimal():
            found[f"{group}.{name.removeprefix(group)}"] = int(value)
    return found
