"""The command's words: what `rawlab` understands, and nothing of what it then does."""

from __future__ import annotations

import argparse
import sys

from rawlab import __version__
from rawlab.arguments import captures, replay, runs
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
  rawlab replay dump.pcap.gz            anyone's capture: its flows; --flow 3 tells one, --strace LOG adds its calls
  rawlab replay dump.pcap --flow 3 --against './server 80'
                                        its client speaks again, to your server in a lab: what is answered otherwise?
  rawlab annotate echo.pcapng -o echo.svg --handshake
                                        a part of it as a picture; the ending says which: .svg .pdf .html .tex …
  rawlab note echo.pcapng p6 "PSH"      a note of your own on packet 6, which the tables and Wireshark show
  rawlab explain accept                 what a call does, in the kernel and on the wire
  rawlab explain echo.pcapng:p6         packet 6: its fields, and who wrote which of its octets
  rawlab doctor                         what this system allows, and what to do where it does not

exit codes:
  0 success   2 usage   3 a privilege is missing   4 no capture   5 a damaged capture   6 output failed
  7 the lab failed   8 a server says something else than the capture   1 a fault of rawlab's own
  130, 143 stopped in good order by SIGINT, SIGTERM
"""


class _Parser(argparse.ArgumentParser):
    """argparse, its errors in our words: one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser; `command` is the name of the one that was given. `only`: has that one alone: quick."""
    whole = _Parser(
        prog="rawlab",
        description="Which system call put this packet on the wire, and which call was waiting for it?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"rawlab {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, add in _COMMANDS.items():
        if only in (None, name):
            add(commands)
    return whole


def _sorted_downwards(words: Sequence[str]) -> list[str]:
    """argparse takes the column of `--sort -packets` for an option, unless it is of the same word."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--sort" and word[:1] == "-" != word[1:2]:
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's words, understood. Raises SystemExit for --help, and for what is not understood."""
    words = sys.argv[1:] if argv is None else argv
    whole = parser(words[0] if words and words[0] in _COMMANDS else None)
    arguments, unknown = whole.parse_known_args(_sorted_downwards(words))
    if unknown:
        whole.prog = f"rawlab {arguments.command}"
        known = arguments.command == "craft" and {"--ipv6", "--ipv4", "-6", "-4"} & {*unknown}
        hint = ": a packet's own description says which it is, as IPv6()/UDP()" if known else ""
        whole.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _add_doctor(commands: Any) -> None:
    command = commands.add_parser("doctor", help="try what labs need, and say what to do where it is refused")
    command.set_defaults(command="doctor")


def _add_completion(commands: Any) -> None:
    command = commands.add_parser("completion", help='a shell\'s completion script: eval "$(rawlab completion bash)"')
    command.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    command.set_defaults(command="completion")


_COMMANDS = {
    "list": runs.add_list,
    "capture": runs.add_capture,
    "craft": runs.add_craft,
    "sniff": runs.add_sniff,
    "replay": replay.add_replay,
    "merge": replay.add_merge,
    "export": replay.add_export,
    "annotate": captures.add_annotate,
    "check": captures.add_check,
    "note": captures.add_note,
    "explain": captures.add_explain,
    "doctor": _add_doctor,
    "completion": _add_completion,
}
