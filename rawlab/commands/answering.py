"""What `rawlab replay FILE --against SERVER` does: a captured client speaks again; does the server say the same?

    the flow's packets ─▶ a dialogue ─▶ live.against plays it in a lab ─▶ the calls' answers ─▶ turn by turn

The file is read after every privilege is given up; the stage, which keeps what it needs, is handed octets.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from rawlab import __version__
from rawlab.commands.showing import check_format, columns, nearest, no_capture_on_a_terminal
from rawlab.commands.streams import complain
from rawlab.errors import Differs, FormatError, LabError, OutputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.api import Story
    from rawlab.live.against import Playing, Server
    from rawlab.live.session import Outcome
    from rawlab.model.dialogue import Dialogue
    from rawlab.model.story import Packet
    from rawlab.store import Opened

_PLAYED = (6, 17, 132)
"IP protocols"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)


def play(arguments: argparse.Namespace, read: Callable[[str], Opened]) -> int:
    """The command's exit code. `read`: a named capture's octets. Raises RawlabError."""
    from rawlab.commands import rights
    from rawlab.live import against
    from rawlab.live.session import Session

    check(arguments)
    server = server_of(arguments.against)
    _check_outside(server, arguments)
    way = against.Way() if server.address is not None else None
    session = Session([] if way is None else [way.theirs.fileno()])
    try:
        session.stop_on_signals()
        rights.give_up("." if arguments.output in (None, "-") else os.path.dirname(arguments.output) or ".")
        playing = against.Playing(dialogue=_dialogue(arguments, read), server=server, speed=arguments.speed or 1.0)
        _check_server(playing)
        relay = None
        if way is not None and server.address is not None:
            relay = way.theirs.fileno()
            way.open(server.address, playing.dialogue.protocol)

        def run(descriptor: int) -> Outcome:
            return against.run(session, playing, relay, descriptor, __version__, _say)

        return _perform(run, playing, arguments)
    finally:
        session.close()
        if way is not None:
            way.close()


def _say(what: str) -> None:
    print(f"rawlab: {what.replace(' and keeps the capture', '')}", file=sys.stderr, flush=True)


def check(arguments: argparse.Namespace) -> None:
    """What does not go together. Raises UsageError."""
    check_format(arguments)
    paced = (("live", arguments.live), ("step", arguments.step), ("over", arguments.over), ("to", arguments.to))
    told = (("ladder", arguments.ladder), ("notes", arguments.notes), ("table", arguments.table not in (None, "both")))
    chosen = (("where", arguments.where), ("sort", arguments.sort), ("strace", arguments.strace))
    sent = (("topspeed", arguments.topspeed), ("loop", arguments.loop), ("rate", arguments.rate))
    for name, given in (*paced, *told, *chosen, *sent, ("count", arguments.count), ("full", arguments.full)):
        if given:
            raise UsageError(f"--against compares what is said: leave --{name} out; with -o OUT, replay OUT shows it")
    no_capture_on_a_terminal(arguments)
    with contextlib.suppress(OSError):
        if arguments.output and os.path.samefile(arguments.output, arguments.file):
            raise UsageError(f"-o {arguments.output}: is the capture itself; name another file")


def _check_outside(server: Server, arguments: argparse.Namespace) -> None:
    """What is said to another machine leaves the lab: only where that was asked for in words. Raises UsageError."""
    if server.address is None or _is_near(server.address.address):
        return
    if not arguments.outside:
        raise UsageError(f"--against {server.address}: is outside of this machine: say --outside as well")
    _say(f"warning: what the client said goes to {server.address}, outside of the lab, by this machine's network")


def _is_near(host: str) -> bool:
    """Whether it is this machine, by its loopback."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_of(words: str) -> Server:
    """A lab's server, HOST:PORT, or a command. Raises UsageError."""
    import shlex

    from rawlab import labs
    from rawlab.live.against import Server
    from rawlab.model.address import Endpoint

    if words in labs.NAMES:
        if labs.lab(words).wire.router:
            raise UsageError(f"--against {words}: a router is before its server; name a lab without one")
        return Server(lab=words)
    if found := _ADDRESS.fullmatch(words):
        if not 0 < int(found[2]) < 65536:
            raise UsageError(f"--against {words}: a port from 1 to 65535 expected")
        return Server(address=Endpoint(found[1].strip("[]"), int(found[2])))
    try:
        program = shlex.split(words)
    except ValueError as error:
        raise UsageError(f"--against {words}: {error}: a command's words expected") from None
    if not program:
        raise UsageError("--against: a PROGRAM in quotes, a LAB or HOST:PORT expected")
    import shutil

    if shutil.which(program[0]) is None:
        if os.path.isfile(program[0]):
            raise UsageError(f"--against {program[0]}: is not executable: chmod +x it, or name its interpreter first")
        if ":" in words and len(program) == 1:
            raise UsageError(f"--against {words}: HOST:PORT expected, as 127.0.0.1:8080 or [::1]:8080")
        raise UsageError(f"--against {program[0]}: no such program{nearest(program[0], labs.NAMES)}, or HOST:PORT")
    return Server(program=tuple(program))


def _check_server(playing: Playing) -> None:
    from rawlab import labs
    from rawlab.live import needs
    protocol, server = playing.dialogue.protocol, playing.server
    if server.lab is not None and not server.lab.startswith(protocol):
        known = ", ".join(name for name in labs.NAMES if name.startswith(protocol))
        raise UsageError(f"--against {server.lab}: the flow speaks {protocol.upper()}; labs that do: {known}")
    if server.lab is not None and playing.ipv6 and not labs.lab(server.lab).ipv6:
        raise UsageError(f"--against {server.lab}: is about IPv4, the flow speaks IPv6")
    if protocol == "sctp" and server.program and not needs.kernel_speaks_sctp():
        raise UsageError(f"--against {server.words}: this kernel has no SCTP: name a lab, as sctp-echo")


def _dialogue(arguments: argparse.Namespace, read: Callable[[str], Opened]) -> Dialogue:
    """What the chosen flow's ends said. Raises UsageError, FormatError."""
    from rawlab.attribution.dialogue import NotWhole, dialogue

    packets = flow(arguments, read)
    try:
        found = dialogue(packets)
    except NotWhole as missing:
        raise FormatError(f"{arguments.file}: {missing}: its side can't be played") from None
    if found is None:
        raise UsageError(f"{arguments.file}: the flow is none of TCP's, UDP's or SCTP's: nothing can be played")
    return found


def flow(arguments: argparse.Namespace, read: Callable[[str], Opened]) -> list[Packet]:
    """The packets of the one flow, or of that which --flow names. Raises UsageError."""
    from rawlab.api import explain
    from rawlab.columns.reading import Reading
    from rawlab.commands import one_flow

    opened = read(arguments.file)
    if arguments.flow is None:
        arguments.flow = _only(opened)
    return list(explain(one_flow.timeline_of(opened, Reading(opened.octets), arguments)).packets)


def _only(opened: Opened) -> int:
    """The number of the only flow that can be played. Raises UsageError."""
    from rawlab.columns.reading import Reading

    reading = Reading(opened.octets)
    for _ in reading.windows():
        pass
    found = [flow for flow in range(len(reading.flows)) if int(reading.flows.protocol[flow]) in _PLAYED]
    if not found:
        raise UsageError(f"{opened.name}: holds no packet of TCP, UDP or SCTP: there is nothing to play")
    if len(found) > 1:
        which = f"say which with --flow N, as `rawlab replay {opened.name} --table flows` numbers them"
        raise UsageError(f"{opened.name}: holds {len(found)} flows of TCP, UDP or SCTP: {which}")
    return found[0] + 1


def _perform(run: Callable[[int], Outcome], playing: Playing, arguments: argparse.Namespace) -> int:
    """Runs, saves if asked, compares, judges."""
    from rawlab import store
    from rawlab.api import explain
    from rawlab.attribution.dialogue import answered
    from rawlab.live.against import Playing
    from rawlab.views import dialogue as view

    assert isinstance(playing, Playing)
    path = None if arguments.output in (None, "-") else Path(arguments.output)
    descriptor = store.nameless() if path is None else store.create(path, force=arguments.force)
    try:
        outcome = run(descriptor)
    finally:
        store.discard_empty(path, descriptor)
    captured = store.parse(store.read(descriptor), str(path or "the run"))
    if path is not None and outcome.error is None:
        captured = store.save(captured, path)
    elif arguments.output == "-":
        captured = store.write(captured, sys.stdout.fileno())
    story = explain(captured)
    if outcome.error:
        raise OutputError(f"the run's file: {outcome.error}; free some space, or use -o")
    if outcome.stopped and not outcome.signal:
        raise LabError(f"--against {playing.server.words}: {outcome.stopped.removeprefix('the server: ')}")
    told = answered(playing.dialogue, [each.call for each in story.calls if each.call.host == "client"])
    _tell_port(story, playing)
    if arguments.output != "-":
        print(view.render(playing.dialogue, told, arguments.format, columns(arguments.width)))
    sys.stdout.flush()
    _tell_program(story, outcome, playing, well=all(told.turns))
    if path is not None:
        _say(f"the capture is in {path}")
    if outcome.signal:
        return complain(f"--against {playing.server.words}: {outcome.stopped}", 128 + outcome.signal)
    if not view.same(playing.dialogue, told):
        raise Differs(f"{playing.server.words}: {view.summary(playing.dialogue, told)}")
    return 0


def _tell_program(story: Story, outcome: Outcome, playing: Playing, *, well: bool) -> None:
    """How a program ended by itself, unless all went `well`; and an answer that its client could not take."""
    how = (outcome.report or {}).get("program")
    if how and not (well and how.startswith("ended with exit code 0")):
        _say(f"{playing.server.words}: {how}")
    spoken = [(packet, packet.facts.flow) for packet in story.packets]
    asked = next((flow for packet, flow in spoken if packet.sender == "client" and flow is not None), None)
    for packet, flow in spoken:
        if flow is None or asked is None or flow.destination != asked.source or flow.source == asked.destination:
            continue
        to = f"the client's socket, connected to {asked.destination}, does not take it"
        _say(f"{playing.server.words}: an answer (packet {packet.n}) came from {flow.source}: {to}")
        return


def _tell_port(story: Story, playing: Playing) -> None:
    """Where the program listens, if that is not where the capture's server did."""
    from rawlab.model.address import Endpoint

    connects = (each.call for each in story.calls if (each.call.host, each.call.name) == ("client", "connect"))
    address = next((call.arg("addr") for call in connects), None)
    if playing.server.program and isinstance(address, Endpoint) and address.port != playing.dialogue.server.port:
        _say(f"{playing.server.words}: listens on port {address.port}, not {playing.dialogue.server.port}")
