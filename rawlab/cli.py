"""The command: argv in, ink and an exit code out.

Nothing heavy is imported before it is needed: `--version` and `--help` need the standard library alone, `replay`
neither scapy nor pyroute2.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys

from rawlab import __version__
from rawlab.arguments import parse, parser
from rawlab.commands import streams
from rawlab.commands.showing import check_format, nearest, no_capture_on_a_terminal, show
from rawlab.errors import LabError, OutputError, RawlabError, UsageError

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rawlab.api import Story
    from rawlab.live.session import Outcome, Request
    from rawlab.store import Opened


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code. Raises SystemExit for --help and the words that argparse refuses."""
    streams.fill()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the launcher ignores it while Python starts
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - `>&-`: for the process's life
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a terminal that has no arrows shows a question mark
    gc.disable()  # a story is large, lives as long as the process, and holds no cycles
    try:
        return streams.printed(_obey(argv))
    except SystemExit as end:
        raise SystemExit(streams.printed(end.code if isinstance(end.code, int) else 0)) from None


def _obey(argv: Sequence[str] | None) -> int:
    """The exit code; every error is told."""
    try:
        arguments = parse(argv)
        code = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
        return code
    except RawlabError as error:
        return streams.complain(error, error.exit_code)
    except BrokenPipeError:  # `| head`: the reader has what it wanted
        streams.print_no_more(sys.stdout)
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.filename is None and error.errno == errno.ENOSPC:
            return streams.not_printed(error, 0)
        where = f"{error.filename}: " if error.filename else ""
        return streams.complain(f"{where}{error.strerror or error}", OutputError.exit_code)
    except Exception as error:
        if os.environ.get("RAWLAB_DEBUG"):
            raise
        return streams.complain(f"a fault of rawlab's own: {error!r}; RAWLAB_DEBUG=1 shows where, please report it", 1)


# ------------------------------------------------------------------------------------------------ list


def _list(arguments: argparse.Namespace) -> int:
    from rawlab import labs

    for lab in map(labs.lab, labs.NAMES):
        print(lab.name if arguments.names else f"{lab.name:<24}{lab.shows}\n{'':<24}{lab.look_at}")
    return 0


# ---------------------------------------------------------------------------------------------- capture


def _request(arguments: argparse.Namespace) -> Request:
    from rawlab import labs
    from rawlab.live.session import Request

    if arguments.lab not in labs.NAMES:
        raise UsageError(f"{arguments.lab}: no such lab{nearest(arguments.lab, labs.NAMES)}")
    return Request(
        lab=arguments.lab,
        messages=tuple(arguments.messages or ()),
        port=arguments.port,
        clients=arguments.clients,
        ipv6=arguments.ipv6,
        loopback=arguments.lo,
        keep=arguments.keep,
        interactive=arguments.interactive,
        stack=arguments.stack,
    ).checked()


def _capture(arguments: argparse.Namespace) -> int:
    from rawlab.commands import watching

    watching.check(arguments)
    if arguments.all == (arguments.lab is not None):
        raise UsageError("capture: name one lab, or say --all")
    return _capture_all(arguments) if arguments.all else _capture_one(arguments)


def _capture_all(arguments: argparse.Namespace) -> int:
    """Every lab, each by a rawlab of its own: one that fails or is stopped takes no other with it."""
    import subprocess

    from rawlab import labs
    from rawlab.live import interpreter

    folder = arguments.output or "."
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: is no folder; --all wants an existing one, named by -o")
    if arguments.lo:
        raise UsageError("--all runs on the private hosts: leave --lo out")
    own = (("message", arguments.messages), ("clients", arguments.clients != 1), ("port", arguments.port))
    for name, given in own:
        if given:
            raise UsageError(f"--all runs each lab as it stands: leave --{name} out")
    options = [option for option in ("force", "ipv6") if getattr(arguments, option)]
    chosen = [lab for lab in map(labs.lab, labs.NAMES) if lab.ipv6 or not arguments.ipv6]
    worst = 0
    for number, lab in enumerate(chosen, 1):
        done = "#" * (30 * number // len(chosen))
        print(f"[{done:<30}] {number}/{len(chosen)} {lab.name}", file=sys.stderr, flush=True)
        words = ["capture", lab.name, "-o", os.path.join(folder, f"{lab.name}.pcapng"), "--format", "json"]
        words += ["--stack", arguments.stack] if arguments.stack and lab.name.startswith("sctp-") else []
        command = interpreter.command("-m", "rawlab", *words, *(f"--{option}" for option in options))
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if ended.returncode:
            worst = worst or ended.returncode
            print(ended.stderr, end="", file=sys.stderr)
    return worst


def _capture_one(arguments: argparse.Namespace) -> int:
    from rawlab.commands import rights, watching
    from rawlab.live.session import Session

    session = Session()  # gets ready while we do, and holds what privilege we have; we give up ours
    try:
        session.stop_on_signals()
        request = _request(arguments)
        check_format(arguments)
        no_capture_on_a_terminal(arguments)
        rights.give_up("." if arguments.output in (None, "-") else os.path.dirname(arguments.output) or ".")

        def say(what: str) -> None:
            print(f"rawlab: {what}", file=sys.stderr)

        if arguments.live or arguments.interactive:
            return watching.watch(session, request, arguments, say, _perform)
        return _perform(lambda descriptor: session.run(request, descriptor, __version__, say), arguments)
    finally:
        session.close()


def _craft(arguments: argparse.Namespace) -> int:
    from rawlab.commands import crafting, flooding

    check_format(arguments)
    if arguments.flood:
        return flooding.flood(arguments, _read_input, _output)
    return crafting.craft(arguments, _read_input, _perform)


def _sniff(arguments: argparse.Namespace) -> int:
    from rawlab.commands import sniffing

    return sniffing.sniff(arguments)


def _output(arguments: argparse.Namespace) -> tuple[Path | None, int]:
    """The file to write to; no path: a nameless one, to be copied to standard output."""
    from pathlib import Path

    from rawlab import store

    if arguments.output == "-":
        return None, store.nameless()
    if arguments.output is None:
        return store.create_unused(arguments.lab, Path())
    path = Path(arguments.output)
    return path, store.create(path, force=arguments.force)


def _perform(
    run: Callable[[int], Outcome],
    arguments: argparse.Namespace,
    tell: Callable[[Story], None] = lambda story: None,
    shown: Callable[[Story, argparse.Namespace], None] = show,
) -> int:
    """Runs, saves, shows, tells what else there is to say, and judges."""
    from rawlab import store
    from rawlab.api import explain

    path, descriptor = _output(arguments)  # after the imports: a run killed before its first block leaves no file
    try:
        outcome = run(descriptor)
    finally:
        store.discard_empty(path, descriptor)
    name = str(path or "standard output")
    captured = store.parse(store.read(descriptor), name)
    if path is None:
        captured = store.write(captured, sys.stdout.fileno())
    elif outcome.error is None:
        captured = store.save(captured, path)
    story = explain(captured)
    if path is not None:
        shown(story, arguments)
        tell(story)
        sys.stdout.flush()
        print(f"rawlab: the capture is in {path}", file=sys.stderr)
    return _verdict(story, outcome, name, arguments)


def _verdict(story: Story, outcome: Outcome, name: str, arguments: argparse.Namespace) -> int:
    """The exit code; what did not go as asked is said."""
    from rawlab.views.counting import count

    dropped = sum(point.dropped or 0 for point in story.timeline.points)
    if dropped:
        streams.complain(f"{name}: {dropped} frames were dropped: the capture could not keep up", 0)
    if outcome.error:
        saved = f"{count(len(story.frames), 'frame')} and {count(len(story.calls), 'call')} are saved"
        raise OutputError(f"{name}: {outcome.error}: {saved}, what came after is lost; free some space, or use -o")
    if outcome.signal:
        return streams.complain(
            f"{arguments.lab} was {outcome.stopped}; all that was sent until then is captured",
            128 + outcome.signal,
        )
    if outcome.stopped:
        raise LabError(f"{arguments.lab}: {outcome.stopped}")
    return 0


# ----------------------------------------------------------------------------------------------- replay


def _replay(arguments: argparse.Namespace) -> int:
    from rawlab.commands import replaying

    return replaying.replay(arguments, _read_input)


def _read_input(name: str, folder: str = ".") -> Opened:
    """The file, opened as whoever calls; root keeps no privilege to look into it, and becomes who owns `folder`."""
    from rawlab import store

    if name == "-" and sys.stdin.isatty():
        print("rawlab: reading a capture from standard input; ^D ends it, ^C gives up", file=sys.stderr)
    return store.opened(name, then=lambda: _give_up(folder))


def _give_up(folder: str) -> None:
    if os.geteuid() == 0:
        from rawlab.commands import rights

        rights.give_up(folder)


def _annotate(arguments: argparse.Namespace) -> int:
    from rawlab.commands import annotating

    return annotating.annotate(arguments, _read_input)


def _merge(arguments: argparse.Namespace) -> int:
    from rawlab.commands import merging

    return merging.merge(arguments, _read_input)


def _export(arguments: argparse.Namespace) -> int:
    from rawlab.commands import exporting

    return exporting.export(arguments, _read_input)


def _check(arguments: argparse.Namespace) -> int:
    from rawlab.commands import checking

    return checking.check(arguments, _read_input)


def _note(arguments: argparse.Namespace) -> int:
    from rawlab.commands import noting

    return noting.note(arguments, _read_input)


def _explain(arguments: argparse.Namespace) -> int:
    from rawlab.commands import explaining

    print(explaining.explain(arguments.what, _read_input))
    return 0


# ----------------------------------------------------------------------------------------------- others


def _doctor(arguments: argparse.Namespace) -> int:
    from rawlab.errors import PermissionMissing
    from rawlab.live import needs

    findings = needs.check()
    for finding in findings:
        mark = "ok" if finding.met else "missing" if finding.required else "absent"
        print(f"{finding.need:<20}{mark:<9}{finding.why}{f'; {finding.fix}' if finding.fix else ''}")
    if any(finding.required and not finding.met for finding in findings):
        raise PermissionMissing("labs can't run here until what is missing is there")
    return 0


def _completion(arguments: argparse.Namespace) -> int:
    from rawlab.commands import completion

    print(completion.script(parser(), arguments.shell))
    return 0


_COMMANDS = {
    "list": _list,
    "capture": _capture,
    "craft": _craft,
    "sniff": _sniff,
    "replay": _replay,
    "annotate": _annotate,
    "check": _check,
    "note": _note,
    "merge": _merge,
    "export": _export,
    "explain": _explain,
    "doctor": _doctor,
    "completion": _completion,
}
