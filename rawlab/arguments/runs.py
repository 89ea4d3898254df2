"""The words of the commands that run something: list, capture, craft, sniff."""

from __future__ import annotations

import argparse

from rawlab.arguments.shared import table_options
from rawlab.arguments.types import duration, message, message_of_size, number, seconds

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from typing import Any


def add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="the labs, and what each shows")
    command.add_argument("--names", action="store_true", help="their names alone, for scripts")
    command.set_defaults(command="list")


def add_capture(commands: Any) -> None:
    command = commands.add_parser("capture", help="run a lab, capture its packets, record its calls")
    command.add_argument("lab", metavar="LAB", nargs="?", help="a name that `rawlab list` shows")
    command.add_argument("--all", action="store_true", help="all labs, one after the other, into the folder -o DIR")
    command.add_argument(
        "-o", "--output", metavar="FILE", help="a new file; - for standard output (default: LAB.pcapng here)"
    )
    command.add_argument("--force", action="store_true", help="replace FILE if it exists")
    group = command.add_argument_group("what is run")
    group.add_argument(
        "--message",
        action="append",
        dest="messages",
        type=message,
        metavar="TEXT",
        help="what the client sends; may be given several times (default: hello)",
    )
    group.add_argument(
        "--size",
        action="append",
        dest="messages",
        type=message_of_size,
        metavar="OCTETS",
        help="a message of that many octets; may be given several times",
    )
    group.add_argument("--port", type=number(1, 65_535), metavar="N", help="the server's port (default: the lab's)")
    clients = "so many, one after the other (default: 1)"
    group.add_argument("--clients", type=number(1, 10_000), default=1, metavar="N", help=clients)
    group.add_argument("--ipv6", action="store_true", help="over IPv6")
    group.add_argument(
        "--lo",
        action="store_true",
        help="on loopback of the present network, instead of two private hosts; needs root",
    )
    group.add_argument("--live", action="store_true", help="show the timeline while it happens")
    group.add_argument(
        "--interactive", action="store_true", help="as --live, and each line that is typed is a message of the client's"
    )
    group.add_argument(
        "--stack",
        choices=("kernel", "user"),
        help="whose SCTP: the kernel's, or rawlab's own on raw sockets (default: the kernel's if it has one)",
    )
    group.add_argument(
        "--keep",
        type=number(0, 200_000),
        default=65_536,
        metavar="OCTETS",
        help="of each call's data, how much the file keeps (default: 65536)",
    )
    table_options(command)
    command.set_defaults(command="capture")


_CRAFT = """\
Makes packets by hand, shows them field by field, sends them from the client's host of a private network to the
server's, and tells what each brought about.

a packet is described in scapy's notation, or in tcpdump's; nothing in it is evaluated:
  'IP()/TCP(dport=7, flags="S")/"hello"'     what is left out is filled in: addresses, ports, lengths, checksums
  'IPv6()/ICMPv6EchoRequest(data="x")'       or Ether(…), ARP(…), UDP(…), SCTP(…), DNS(…), … as scapy names them
  'IP()/UDP(dport=[7, 9])'                   a list, or a range as (7, 9): several packets
  'IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 0, win 64240, length 0'

a flood is sent by --flood, and never leaves the lab:
  'IP(src="10.0.0.9")/TCP(flags="S")' --flood --vary tcp.sport --against tcp-echo
                                             what SYNs without end do to a server: its kernel's counters
"""


def add_craft(commands: Any) -> None:
    command = commands.add_parser(
        "craft",
        help="make packets by hand, send them inside a lab, see what answers",
        description=_CRAFT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("descriptions", metavar="DESCRIPTION", nargs="*", help="a packet, in quotes")
    command.add_argument(
        "-o", "--output", metavar="FILE", help="a new file; - for standard output (default: craft.pcapng here)"
    )
    command.add_argument("--force", action="store_true", help="replace FILE if it exists")
    group = command.add_argument_group("what is made")
    group.add_argument(
        "--from",
        dest="source",
        metavar="FILE:N",
        help="a captured packet: record N of the file, as Wireshark counts; FILE:pN, packet N of rawlab's table",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="LAYER.FIELD=VALUE",
        help="a field anew, as ip.ttl=1, tcp.flags=SA; may be given several times",
    )
    group.add_argument(
        "--keep",
        action="append",
        default=[],
        dest="keep_fields",
        metavar="LAYER.FIELD",
        help="with --from: this checksum or length stays as it was captured, right or wrong",
    )
    group.add_argument("--show", action="store_true", help="only show them; nothing is sent, no privilege needed")
    group = command.add_argument_group("how they are sent")
    group.add_argument("--against", metavar="LAB", help="run that lab's server at the other end (default: none)")
    group.add_argument(
        "--count",
        type=number(1, 100_000_000, "from 1 to 10000 (with --flood, to 100000000)"),
        metavar="N",
        help="all of it N times, 10000 at most (default: 1); with --flood: that many packets",
    )
    group.add_argument("--rate", type=number(1, 1_000), metavar="PPS", help="packets a second (default: 100)")
    group.add_argument(
        "--wait",
        type=seconds,
        default=0.3,
        metavar="SECONDS",
        help="no answer is waited for any more when so long none came (default: 0.3)",
    )
    flood = "as fast as it goes, inside the lab; a report, and the first and last 50 packets, are shown; these are kept"
    group.add_argument("--flood", action="store_true", help=f"{flood}; with -o all are, none is shown")
    group.add_argument("--seconds", type=seconds, metavar="S", help="with --flood: for so long (default: 1)")
    group.add_argument(
        "--vary",
        action="append",
        default=[],
        dest="varied",
        metavar="LAYER.FIELD[=LOW-HIGH]",
        help="with --flood: a field that counts up, as tcp.sport, ip.src=10.0.0.100-10.0.0.199; may be repeated",
    )
    group.add_argument("--interface", metavar="NAME", help="outside of any lab, on this interface; needs root")
    group.add_argument("--outside", action="store_true", help="with --interface, --count and --rate: yes, outside")
    table_options(command)
    command.set_defaults(command="craft", lab="craft")


_SNIFF = """\
Shows packets as they come, each with why it exists as far as that can be known without the calls; keeps them with -o.
On an interface of the present network (needs root), or inside a lab that runs. Sends nothing.

a filter, of which the kernel drops all else; no name is looked up:
  host A · src host A · dst host A · port N · src port N · dst port N
  tcp · udp · sctp · icmp · icmp6 · arp · ip · ip6 · tcp port N · ip host A · …
  syn · fin · rst · psh · ack · urg · ece · cwr, or as tcp[syn]
  joined by and, or, not and parentheses, as tcpdump joins them: 'tcp port 80 and (syn or fin)'
"""


def add_sniff(commands: Any) -> None:
    command = commands.add_parser(
        "sniff",
        help="a live table of the packets on an interface, or in a lab that runs",
        description=_SNIFF,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("filter", metavar="FILTER", nargs="*", help="which packets (default: all)")
    command.add_argument("-i", "--interface", metavar="NAME", help="an interface of the present network; needs root")
    command.add_argument(
        "--lab",
        type=number(1, 1 << 22),
        nargs="?",
        const=0,
        metavar="PID",
        help="the lab that runs now, or that of this rawlab: its hosts' interfaces",
    )
    command.add_argument("-o", "--output", metavar="FILE", help="a new file for the packets (default: none)")
    command.add_argument("--force", action="store_true", help="replace FILE if it exists")
    command.add_argument("--count", type=number(1, 1_000_000_000), metavar="N", help="end after N packets")
    command.add_argument("--duration", type=duration, metavar="SECONDS", help="end after so long")
    of_process = "only packets of sockets that this process holds, and which"
    command.add_argument("--pid", type=number(1, 1 << 22), metavar="PID", help=of_process)
    command.add_argument("--format", default="simple", metavar="FORMAT", help="simple, or json: one object a line")
    command.add_argument(
        "--width", type=number(40, 10_000), metavar="COLUMNS", help="default: the terminal's, or a line a packet"
    )
    command.set_defaults(command="sniff")
