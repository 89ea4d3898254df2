"""The words of the commands that take a saved capture for a lecture: annotate, check, note, explain."""

from __future__ import annotations

import argparse

from rawlab.arguments.types import hidden, number, scale

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from typing import Any

_ANNOTATE = """\
Makes a capture, or a part of it, into what a lecture shows; the ending of OUT says what it becomes:
  .html                one page to step through, offline
  .svg .png .pdf       the ladder as a picture          .tex   the same in TikZ, for LaTeX and beamer
  .txt                 the ladder in characters         .mmd   a Mermaid sequence diagram
  .md .csv .json       the rows, for documents (.md: beside it its picture, OUT.svg), spreadsheets, scripts
  .pcapng              the capture, what rawlab says of each packet as its comment: Wireshark shows it
  .pkt                 a packetdrill script of the run
"""


def add_annotate(commands: Any) -> None:
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
        "--flow",
        type=number(1, 2**31 - 1),
        metavar="N",
        help="the Nth conversation, and the calls on its sockets; of anyone's capture: flow N of replay's list",
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


def add_check(commands: Any) -> None:
    command = commands.add_parser("check", help="grade the answers that quizzes saved")
    command.add_argument("answers", metavar="ANSWERS", nargs="+", help="a file that a quiz saved, or a folder of them")
    command.add_argument("file", metavar="FILE", help="the capture that the quiz is of")
    command.add_argument(
        "--format", default="simple", metavar="FORMAT", help="simple, github, html, tsv, … (replay's --format help)"
    )
    command.set_defaults(command="check")


_NOTE = """\
Writes a note on a packet or a call into the capture, where rawlab's tables, steps and page show it (a ladder
by itself does not); Wireshark does,
too: on a packet as its comment, which it can edit, on a call as the field RAWLAB_NOTE of its journal entry.
Without TEXT, lists the notes, Wireshark's too. FILE is replaced in one step by a file of the same owner and mode.
"""


def add_note(commands: Any) -> None:
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


def add_explain(commands: Any) -> None:
    command = commands.add_parser("explain", help="a call, a flag, a notion; or one packet or call of a capture")
    command.add_argument(
        "what",
        metavar="TOPIC",
        nargs="?",
        help="a topic; FILE:p6, packet 6 of a capture; FILE:c6, call 6; none: the topics",
    )
    command.set_defaults(command="explain")
