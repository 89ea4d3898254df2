"""The command's words: what `rawlab` understands, and nothing of what it then does."""

from __future__ import annotations

import argparse

from rawlab import __version__
from rawlab.argument_types import duration, factor, hidden, message, message_of_size, number, scale, seconds, span
from rawlab.errors import UsageError

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

_EPILOG = """\
examples:
  sudo rawlab capture tcp-echo          a TCP echo between two private hosts: its packets, tied to its calls
  rawlab capture tcp-echo -o echo.pcapng --message hello --message again
  rawlab craft 'IP()/TCP(dport=7,flags="S")' --against tcp-echo
                                        a SYN by hand, each field shown, and what the server answers
  sudo rawlab sniff -i lo tcp port 8080 and syn
                                        packets as they come; sniff --lab looks into a lab that runs
  rawlab replay echo.pcapng             the same tables again, no privilege needed
  rawlab replay echo.pcapng --format json | jq '.packets[].cause.reason'
  rawlab annotate echo.pcapng -o echo.svg --handshake
                                        a part of it as a picture; the ending says which: .svg .pdf .html .tex …
  rawlab note echo.pcapng p6 "PSH"      a note of your own on packet 6, which the tables and Wireshark show
  rawlab explain accept                 what a call does, in the kernel and on the wire
  rawlab explain echo.pcapng:p6         packet 6: its fields, and who wrote which of its octets
  rawlab doctor                         what this system allows, and what to do where it does not

exit codes:
  0 success   2 usage   3 a privilege is missing   4 no capture   5 a damaged capture   6 output failed
  7 the lab failed   130, 143 stopped in good order by SIGINT, SIGTERM   1 a fault of rawlab's own
"""


class _Parser(argparse.ArgumentParser):
    """argparse, its errors in our words: one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The whole command's parser; `command` is the name of the one that was given."""
    whole = _Parser(
        prog="rawlab",
        description="Which system call put this packet on the wire, and which call was waiting for it?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"rawlab {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    of_runs = _add_list, _add_capture, _add_craft, _add_sniff
    of_captures = _add_replay, _add_annotate, _add_check, _add_note
    for add in (*of_runs, *of_captures, _add_explain, _add_doctor, _add_completion):
        add(commands)
    return whole


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's words, understood. Raises SystemExit for --help, and for what is not understood."""
    whole = parser()
    arguments, unknown = whole.parse_known_args(argv)
    if unknown:
        whole.prog = f"rawlab {arguments.command}"
        known = arguments.command == "craft" and {"--ipv6", "--ipv4", "-6", "-4"} & {*unknown}
        hint = ": a packet's own description says which it is, as IPv6()/UDP()" if known else ""
        whole.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="the labs, and what each shows")
    command.add_argument("--names", action="store_true", help="their names alone, for scripts")
    command.set_defaults(command="list")


def _add_table_options(command: argparse.ArgumentParser) -> None:
    from_terminal = "default: the terminal's, or as wide as it becomes"
    group = command.add_argument_group("what is shown")
    group.add_argument("--table", choices=("timeline", "calls", "both"), default="both", help="default: both")
    group.add_argument(
        "--format",
        default="simple",
        metavar="FORMAT",
        help="simple, json, github, html, latex, … (--format help lists them)",
    )
    group.add_argument("--ladder", action="store_true", help="instead of tables, the ladder, in characters")
    group.add_argument("--width", type=number(40, 10_000), metavar="COLUMNS", help=from_terminal)
    group.add_argument("--full", action="store_true", help="all rows on a terminal, however many")
    group.add_argument("--notes", action="store_true", help="beneath each row, what it means here, and the RFC")
    group.add_argument(
        "--endpoint-calls", action="store_true", help="also the calls that rawlab's own SCTP or TCP makes by itself"
    )


def _add_capture(commands: Any) -> None:
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
    _add_table_options(command)
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


def _add_craft(commands: Any) -> None:
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
    _add_table_options(command)
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


def _add_sniff(commands: Any) -> None:
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


def _add_replay(commands: Any) -> None:
    command = commands.add_parser("replay", help="the tables of a saved capture; no privilege needed")
    command.add_argument("file", metavar="FILE", help="a pcapng or pcap file; - for standard input")
    group = command.add_argument_group("row by row")
    group.add_argument("--live", action="store_true", help="each row when its time comes")
    group.add_argument("--speed", type=factor, metavar="X", help="so much faster: 0.001 stretches 1 ms to 1 s")
    group.add_argument("--over", type=span, metavar="SECONDS", help="all of it in so long")
    group.add_argument("--step", action="store_true", help="one row a keypress")
    _add_table_options(command)
    command.set_defaults(command="replay")


_ANNOTATE = """\
Makes a capture, or a part of it, into what a lecture shows; the ending of OUT says what it becomes:
  .html                one page to step through, offline
  .svg .png .pdf       the ladder as a picture          .tex   the same in TikZ, for LaTeX and beamer
  .txt                 the ladder in characters         .mmd   a Mermaid sequence diagram
  .md .csv .json       the rows, for documents (.md: beside it its picture, OUT.svg), spreadsheets, scripts
  .pcapng              the capture, what rawlab says of each packet as its comment: Wireshark shows it
  .pkt                 a packetdrill script of the run
"""


def _add_annotate(commands: Any) -> None:
    command = commands.add_parser(
        "annotate",
        help="a capture, or a part of it, as a page, a picture, a document",
        description=_ANNOTATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="a pcapng or pcap file; - for standard input")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="a new file; - for standard output")
    command.add_argument("--format", dest="ending", metavar="ENDING", help="what OUT becomes, whatever its ending")
    command.add_argument("--force", action="store_true", help="replace OUT if it exists")
    group = command.add_argument_group("which part of it")
    group.add_argument(
        "--rows", metavar="ROWS", help="5-7,12: packets 5 to 7 and 12; c3: call 3; p5-p7; each with what it is tied to"
    )
    group.add_argument("--handshake", action="store_true", help="how connections and associations are set up")
    group.add_argument("--data", action="store_true", help="data, and what acknowledges it")
    group.add_argument("--close", action="store_true", help="how they end")
    group.add_argument(
        "--flow", type=number(1, 1_000_000), metavar="N", help="the Nth conversation, and the calls on its sockets"
    )
    group = command.add_argument_group("how it looks")
    group.add_argument("--axis", choices=("compressed", "even", "true"), default="compressed", help="of time")
    group.add_argument("--theme", choices=("light", "dark"), help="default: light, or as the reader's browser says")
    group.add_argument("--scale", type=scale, metavar="X", help="of a .png: pixels a point (default: 2)")
    group.add_argument("--width", type=number(60, 400), default=120, metavar="COLUMNS", help="a .txt's (default: 120)")
    group.add_argument(
        "--steps", action="store_true", help="one step at a time: OUT-01.svg, …; a .pdf's pages, a .tex's overlays"
    )
    group.add_argument("--side", choices=("client", "server"), help="of a .pkt: the host under test (default: client)")
    group = command.add_argument_group("a quiz, as .html")
    group.add_argument(
        "--hide", type=hidden, default=(), metavar="WHAT", help="cells to fill in: some of seq,ack,state,cause"
    )
    group.add_argument(
        "--seed", type=number(0, 2**53 - 1), metavar="N", help="which cells; the same N, the same cells (default: 0)"
    )
    command.set_defaults(command="annotate")


_NOTE = """\
Writes a note on a packet or a call into the capture, where rawlab's tables, steps and page show it (a ladder
by itself does not); Wireshark does,
too: on a packet as its comment, which it can edit, on a call as the field RAWLAB_NOTE of its journal entry.
Without TEXT, lists the notes, Wireshark's too. FILE is replaced in one step by a file of the same owner and mode.
"""


def _add_check(commands: Any) -> None:
    command = commands.add_parser("check", help="grade the answers that quizzes saved")
    command.add_argument("answers", metavar="ANSWERS", nargs="+", help="a file that a quiz saved, or a folder of them")
    command.add_argument("file", metavar="FILE", help="the capture that the quiz is of")
    command.add_argument(
        "--format", default="simple", metavar="FORMAT", help="simple, github, html, tsv, … (replay's --format help)"
    )
    command.set_defaults(command="check")


def _add_note(commands: Any) -> None:
    command = commands.add_parser(
        "note",
        help="a note of your own on a packet or a call, in the capture itself",
        description=_NOTE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="a pcapng file")
    row = "12: record 12, as Wireshark counts; p6, c4: packet 6, call 4 of rawlab's table; none: lists all notes"
    command.add_argument("row", metavar="ROW", nargs="?", help=row)
    command.add_argument("text", metavar="TEXT", nargs="?", help="the note; none: lists that row's")
    command.add_argument("--replace", metavar="TEXT", help="this note in place of all of the row's")
    command.add_argument(
        "--remove", metavar="TEXT", nargs="?", const="", help="takes that note away; without TEXT all of the row's"
    )
    command.set_defaults(command="note")


def _add_explain(commands: Any) -> None:
    command = commands.add_parser("explain", help="a call, a flag, a notion; or one packet or call of a capture")
    command.add_argument(
        "what",
        metavar="TOPIC",
        nargs="?",
        help="a topic; FILE:p6, packet 6 of a capture; FILE:c6, call 6; none: the topics",
    )
    command.set_defaults(command="explain")


def _add_doctor(commands: Any) -> None:
    command = commands.add_parser("doctor", help="try what labs need, and say what to do where it is refused")
    command.set_defaults(command="doctor")


def _add_completion(commands: Any) -> None:
    command = commands.add_parser("completion", help='a shell\'s completion script: eval "$(rawlab completion bash)"')
    command.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    command.set_defaults(command="completion")
