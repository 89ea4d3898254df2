"""What `rawlab craft` does: words to packets, packets shown, sent, and their answers told.

    descriptions, or a captured frame ─▶ wire.craft ─▶ shown field by field ─▶ live.craft ─▶ the table as ever

Descriptions and files are read after every privilege is given up; the stage, which keeps what it needs, is handed
octets. `cli` prints the story and says how a run ended.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from rawlab import __version__
from rawlab.commands.showing import no_capture_on_a_terminal, show_before
from rawlab.errors import LabError, PermissionMissing, UsageError
from rawlab.model.craft import MOST_A_SECOND, MOST_PACKETS, Crafted, Ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.api import Story
    from rawlab.live.craft import Sending
    from rawlab.live.session import Outcome
    from rawlab.model.event import Frame
    from rawlab.store import Opened
    from rawlab.wire.description import Setting

Perform = Callable[[Callable[[int], "Outcome"], argparse.Namespace, Callable[["Story"], None]], int]
"""How `cli` runs, saves, shows and judges: (a run that writes to a descriptor, arguments, what else is shown)."""


def craft(arguments: argparse.Namespace, read: Callable[[str], Opened], perform: Perform) -> int:
    """The command's exit code. `read`: a named capture's octets. Raises RawlabError."""
    check_words(arguments)
    for name, value in (("seconds", arguments.seconds), ("vary", arguments.varied)):
        if value:
            raise UsageError(f"--{name} is for a flood: say --flood as well")
    if (arguments.count or 1) > MOST_PACKETS:
        raise UsageError(f"--count {arguments.count}: a number from 1 to {MOST_PACKETS} expected")
    if arguments.show:
        _check_show(arguments)
        from rawlab.commands import rights
        from rawlab.views import crafted

        rights.give_up()
        ends = _ends(arguments) if arguments.interface else Ends(destination_port=port(arguments))
        print(crafted.before(packets(arguments, ends, read), arguments.count or 1))
        return 0
    return _send(arguments, read, perform)


def check_words(arguments: argparse.Namespace) -> None:
    """What does not go together. Raises UsageError, PermissionMissing."""
    from rawlab import labs

    if arguments.descriptions and arguments.source:
        raise UsageError("craft: a DESCRIPTION makes a packet, --from takes a captured one: one or the other")
    if not arguments.descriptions and not arguments.source:
        raise UsageError("craft: say one packet or more, as 'IP()/TCP(flags=\"S\")', or --from FILE:12")
    if arguments.keep_fields and not arguments.source:
        raise UsageError("--keep is for a captured packet: --from FILE:12; a description's field is set by saying it")
    if arguments.against is not None and arguments.against not in labs.NAMES:
        from rawlab.wire.craft import nearest

        raise UsageError(f"--against {arguments.against}: no such lab{nearest(arguments.against, labs.NAMES)}")
    if arguments.against is not None and labs.lab(arguments.against).wire.router:
        raise UsageError(f"--against {arguments.against}: a router is before its server; name a lab without one")
    if arguments.interface is not None or arguments.outside:
        _check_outside(arguments)


def _check_show(arguments: argparse.Namespace) -> None:
    """What is only shown is neither sent nor told in tables."""
    sent = (("output", arguments.output), ("force", arguments.force), ("rate", arguments.rate))
    told = (("format", arguments.format != "simple"), ("table", arguments.table != "both"))
    drawn = (("ladder", arguments.ladder), ("notes", arguments.notes), ("endpoint-calls", arguments.endpoint_calls))
    for name, given in (*sent, *told, *drawn):
        if given:
            raise UsageError(f"--show: prints the packets' fields, and sends nothing: leave --{name} out")


def _check_outside(arguments: argparse.Namespace) -> None:
    """Nothing is sent outside unless all of it was asked for in words."""
    import socket

    names = [name for _, name in socket.if_nameindex()]
    if arguments.interface is None:
        raise UsageError("--outside: name the interface as well: --interface NAME --count N --rate PPS")
    if arguments.interface not in names:
        raise UsageError(f"--interface {arguments.interface}: no such interface; there are: {', '.join(names)}")
    if not (arguments.outside and arguments.count and arguments.rate):
        raise UsageError(
            f"--interface {arguments.interface}: is outside the lab: say --outside, --count N and --rate PPS as well"
        )
    if arguments.against:
        raise UsageError("--against: a lab's server runs inside the lab; leave --interface and --outside out")
    if os.geteuid() and not arguments.show:
        raise PermissionMissing("sending outside of a lab needs root: use sudo")


def _send(arguments: argparse.Namespace, read: Callable[[str], Opened], perform: Perform) -> int:
    from rawlab.commands import rights
    from rawlab.live import craft
    from rawlab.live.session import Session

    no_capture_on_a_terminal(arguments)
    session = Session()  # gets ready while we do, and holds what privilege we have; we give up ours
    try:
        session.stop_on_signals()
        rights.give_up("." if arguments.output in (None, "-") else os.path.dirname(arguments.output) or ".")
        sending = _sending(arguments, read)
        _announce(arguments, sending)

        def run(descriptor: int) -> Outcome:
            return craft.run(session, sending, descriptor, __version__)

        refused: list[str] = []
        code = perform(run, arguments, lambda story: refused.extend(_tell(story, arguments)))
        if refused and not code:
            names = ", ".join(sorted(set(refused)))
            raise LabError(f"craft: the kernel refused {len(refused)} of the packets ({names})")
        return code
    finally:
        session.close()


def _sending(arguments: argparse.Namespace, read: Callable[[str], Opened]) -> Sending:
    from rawlab.live.craft import Sending
    from rawlab.live.network import CLIENT, SERVER
    from rawlab.model.timeline import Host

    ends = _ends(arguments) if arguments.outside else Ends(destination_port=port(arguments))
    made = packets(arguments, ends, read)
    count, rate = arguments.count or 1, arguments.rate or 100
    if len(made) * count > MOST_PACKETS:
        raise UsageError(f"{len(made)} packets, {count} times: {MOST_PACKETS} in all at most")
    hosts: tuple[Host, ...] = ()
    if arguments.outside:
        own = tuple(address for address in ends.source if address is not None)
        hosts = Host(name=CLIENT.name, addresses=own), Host(name=SERVER.name, addresses=_receivers(made))
    return Sending(
        packets=tuple(made),
        count=count,
        rate=min(rate, MOST_A_SECOND),
        wait=arguments.wait,
        against=arguments.against,
        ipv6=version(made[0]) == 6,
        outside=arguments.interface,
        ends=hosts,
    )


def _announce(arguments: argparse.Namespace, sending: Sending) -> None:
    """Shows what will be sent; warns of what leaves the lab."""
    from rawlab.views import crafted

    if arguments.format == "simple" and arguments.output != "-":
        show_before(f"{crafted.before(sending.packets, sending.count)}\n")
    if sending.outside is not None:
        total = len(sending.packets) * sending.count
        rate = f"{sending.rate:g} a second"
        words = f"{total} packet{'s' * (total > 1)}, {rate}, leave on {sending.outside}, which is outside of any lab"
        print(f"rawlab: warning: {words}", file=sys.stderr, flush=True)


def _tell(story: Story, arguments: argparse.Namespace) -> list[str]:
    """What came of each packet, below the table; the errno of each that the kernel did not take."""
    from rawlab.views import crafted

    if arguments.format == "simple":
        print(f"\n{crafted.answers(story)}")
    sends = [told.call for told in story.calls if told.call.name in ("send", "sendto") and told.call.host == "client"]
    return [call.errno for call in sends if call.errno is not None]


# ---- packets


def packets(arguments: argparse.Namespace, ends: Ends, read: Callable[[str], Opened]) -> list[Crafted]:
    """The packets that were asked for. Raises UsageError."""
    from rawlab.wire import craft
    from rawlab.wire.description import parse, parse_name, parse_setting

    settings = [parse_setting(text) for text in arguments.settings]
    if arguments.source:
        frame, linktype = _captured(arguments.source, read)
        keep = [parse_name(text) for text in arguments.keep_fields]
        return craft.change(bytes(frame.data), linktype, ends, settings, keep)
    descriptions = [parse(text) for text in arguments.descriptions]
    wanted: list[list[Setting]] = [
        [setting for setting in settings if len(descriptions) == 1 or craft.names_layer(described, setting)]
        for described in descriptions
    ]
    unused = [setting for setting in settings if not any(setting in mine for mine in wanted)]
    if unused:
        raise UsageError(f"--set {unused[0].text}: no packet has a layer {unused[0].layer}")
    made: list[Crafted] = []
    for described, mine in zip(descriptions, wanted, strict=True):
        made += craft.build(described, ends, mine)
    return made


def _captured(source: str, read: Callable[[str], Opened]) -> tuple[Frame, int]:
    """FILE:12, the record of that number as Wireshark counts; FILE:p12, packet 12 of rawlab's table."""
    from rawlab import store
    from rawlab.api import explain

    file, colon, which = source.rpartition(":")
    number = which.removeprefix("p")
    if not colon or not file or not number.isdecimal():
        raise UsageError(f"--from {source}: expected FILE:12, the file's record 12, or FILE:p12, rawlab's packet 12")
    captured = store.parse(read(file), file)
    wanted = int(number)
    if which.startswith("p"):
        packets = explain(captured).packets
        if not 1 <= wanted <= len(packets):
            raise UsageError(f"--from {source}: no such packet; {file} has p1 to p{len(packets)}")
        wanted = packets[wanted - 1].frames[0]
    frame = next((frame for frame in captured.frames if frame.number == wanted), None)
    if frame is None:
        numbers = [frame.number for frame in captured.frames]
        there = f"its packets' numbers go from {numbers[0]} to {numbers[-1]}" if numbers else "it holds no packet"
        raise UsageError(f"--from {source}: no such packet; {there}")
    if frame.length > len(frame.data):
        raise UsageError(f"--from {source}: of its {frame.length} octets the capture holds {len(frame.data)} only")
    return frame, captured.points[frame.point].linktype


def framed(packet: Crafted, ends: Ends) -> bytes:
    """The whole frame, from its Ethernet header on: what a packet socket sends."""
    if packet.to is None:
        return packet.data
    macs = f"{ends.destination_mac}:{ends.source_mac}".replace(":", "")
    return bytes.fromhex(macs) + (b"\x08\0" if packet.data[0] >> 4 == 4 else b"\x86\xdd") + packet.data


def port(arguments: argparse.Namespace) -> int | None:
    """Whom a packet is for that names no port: the lab's server."""
    from rawlab import labs

    return labs.lab(arguments.against).port if arguments.against else None


def version(packet: Crafted) -> int:
    """Of IP."""
    from rawlab.wire.decode import decode

    ip = decode(packet.data, packet.linktype).ip
    return 4 if ip is None else ip.version


def _receivers(packets: Sequence[Crafted]) -> tuple[str, ...]:
    """Outside: whose answers are captured."""
    from rawlab.wire.decode import decode

    found = {ip.destination for packet in packets if (ip := decode(packet.data, packet.linktype).ip) is not None}
    if len(found) > 8:
        raise UsageError(f"{len(found)} receivers: outside the lab 8 at the most")
    return tuple(sorted(found))


def _ends(arguments: argparse.Namespace) -> Ends:
    """Outside, the interface's own addresses; whom a packet is for has to be said."""
    from rawlab.live.interface import addresses

    interface = addresses(arguments.interface)
    if not interface.up:
        raise UsageError(f"--interface {arguments.interface}: is down: nothing can be sent there")
    return Ends(
        source=(interface.ipv4, interface.ipv6),
        destination=(None, None),
        source_mac=interface.mac,
        destination_mac=None,
        neighbours=None,
        mtu=interface.mtu,
    )
