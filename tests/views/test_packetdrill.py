"""The packetdrill script: read by packetdrill's grammar, and true to the run, for each capture and either side."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.attribution.telling import tell
from rawlab.errors import UsageError
from rawlab.model.facts import TcpSegment, UdpDatagram
from rawlab.model.story import Story
from rawlab.views import packetdrill
from rawlab.wire import symbols
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.test_unproven import without_calls
from tests.views.packetdrill_grammar import Call, Packet, WrongScript, parse
from tests.views.stories import ECHO, HOSTILE, echo, hostile

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))



def script_of(path: Path, side: str) -> tuple[Story, str]:
    """A capture's story and its script, '' where it rightly refuses: there is neither TCP nor UDP."""
    story = load(path)
    if not any(isinstance(packet.facts.transport, TcpSegment | UdpDatagram) for packet in story.packets):
        with pytest.raises(UsageError, match="packetdrill tells of TCP and UDP sockets only"):
            packetdrill.render(story, side=side)
        return story, ""
    return story, packetdrill.render(story, side=side)


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_capture_s_script_is_one_that_packetdrill_reads(path: Path, side: str) -> None:
    """By its grammar; in order of time; no two calls at once."""
    _, script = script_of(path, side)
    events = parse(script) if script else []
    assert [event.at for event in events] == sorted(event.at for event in events)
    busy = 0.0
    for event in events:
        if isinstance(event, Call):
            assert event.at >= busy
            busy = event.until or event.at


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_each_row_of_that_host_stands_in_the_script_once(path: Path, side: str) -> None:
    """Told, or in a comment that says what kept it out."""
    story, script = script_of(path, side)
    if not script:
        return
    lines = script.split("\n")[4:]
    remarks = [line[3:] if line.startswith("//") else line.rpartition("  // ")[2] for line in lines]
    found = [remark.split(":")[0].split(",")[0] for remark in remarks if remark[:1] in "pc" and remark[1:2].isdigit()]
    mine = [told.label for told in story.calls if told.call.host == side]
    assert sorted(found) == sorted([*mine, *(f"p{packet.n}" for packet in story.packets)])
    untold = [line for line in script.split("\n") if line.startswith(("// p", "// c"))]
    assert all(": " in line.removeprefix("// ") for line in untold)


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("name", ["tcp-echo", "tcp-oob", "tcp-close", "tcp-half-close"])
def test_packets_are_the_story_s(name: str, side: str) -> None:
    """Flags, relative numbers, window and direction of each that the script tells, in order."""
    story, script = script_of(CAPTURES[0].with_name(f"{name}.pcapng"), side)
    told = [line for line in script.split("\n") if " > " in line or " < " in line]
    assert told
    for line, event in zip(told, (one for one in parse(script) if isinstance(one, Packet)), strict=True):
        n = int(line.rpartition("// p")[2].split(",")[0])
        packet = story.packets[n - 1]
        segment = packet.facts.transport
        assert isinstance(segment, TcpSegment)
        assert event.outbound == (packet.sender == side)
        assert set(event.flags) == set(symbols.tcp_flags(segment.flags))
        assert (event.seq, event.ack, event.length) == (packet.seq, packet.ack, segment.length)
        assert event.window == segment.window
        assert event.options == [symbols.tcp_option(option.kind) for option in segment.options]


def test_the_echo_as_its_client_saw_it() -> None:
    """A call that waited has the moment of its return, one that did not has none; what was lost says so."""
    lines = packetdrill.render(echo(), side="client").split("\n")
    assert any("...".join(("0.", "")) not in line and " connect(3, ..., ...) = 0" in line for line in lines)
    events = [event for event in parse("\n".join(lines)) if isinstance(event, Call)]
    assert {event.name: event.until is not None for event in events} == {
        "socket": False,
        "connect": True,
        "write": False,
        "close": False,
    }
    assert any(line.endswith("p5: [.] ack 6, win 502, len 0: it never arrived") for line in lines)


def test_a_reset_by_one_that_never_sent_syn_has_number_0() -> None:
    """As on the wire (RFC 9293 section 3.5.2)."""
    _, script = script_of(CAPTURES[0].with_name("tcp-refused.pcapng"), "client")
    (reset,) = [event for event in parse(script) if isinstance(event, Packet) and "R" in event.flags]
    assert (reset.seq, reset.ack, reset.outbound) == (0, 1, False)


def test_a_fragment_is_not_said_to_be_of_something_else() -> None:
    """packetdrill has no word for it, that is all."""
    _, script = script_of(CAPTURES[0].with_name("udp-large.pcapng"), "client")
    fragments = [line for line in script.split("\n") if "(frag " in line]
    assert fragments
    assert all(line.endswith("packetdrill has no word for a fragment") for line in fragments)


def test_over_ipv6_the_script_says_so() -> None:
    """As packetdrill's option, before its first event."""
    story = tell(read(ECHO, ipv6=True), decode)
    script = packetdrill.render(story)
    assert script.split("\n\n")[0].endswith("\n--ip_version=ipv6")
    told, plain = (
        [(one.flags, one.seq, one.length, one.ack) for one in parse(text) if isinstance(one, Packet)]
        for text in (script, packetdrill.render(echo()))
    )
    assert told == plain


def test_a_part_is_told_alone() -> None:
    """Rows that are not shown are not even comments."""
    shown = {"p1", "p2", "p3", "c5", "c6"}
    script = packetdrill.render(echo(), side="client", shown=shown)
    assert {line.rpartition("// ")[2] for line in script.split("\n")[4:] if line} <= shown


def test_a_capture_without_calls_has_packets_alone() -> None:
    """Whoever speaks first is the client."""
    story = without_calls(ECHO)
    events = parse(packetdrill.render(story, side="client"))
    assert events
    assert all(isinstance(event, Packet) for event in events)


@pytest.mark.parametrize("word", HOSTILE)
def test_no_word_of_a_capture_breaks_out_of_a_comment(word: str) -> None:
    """Payloads, errnos and states that are hostile: the script still reads, each line is one event or a comment."""
    story = hostile(word)
    for host in story.timeline.hosts:
        try:
            script = packetdrill.render(story, side=host.name)
        except UsageError:
            continue
        events = parse(script)
        assert len(events) == sum(line[:1].isdigit() for line in script.split("\n"))
        assert "\x1b" not in script


@pytest.mark.parametrize(
    "script",
    [
        "// nothing\n",
        "0 fork() = 3\n",
        "0 > S 0:5(0)\n",
        "0 < S 0:0(0)\n",
        "0 < S 0:0(0) win 70000\n",
        "0 < Q 0:0(0) win 1\n",
        "0 > S 0:0(0) <mss 1460,nop>\n",
        "0 < S 0:0(0) win 1 <...>\n",
        "-1 > S 0:0(0)\n",
        "0 close(3)\n",
        "0 write(3, ..., 5 = 5\n",
        "0 connect(3, ..., ...) = -1 ECONNREFUSED\n",
    ],
)
def test_the_grammar_refuses(script: str) -> None:
    """What packetdrill refuses: else the tests above would prove nothing."""
    with pytest.raises(WrongScript):
        parse(script)


def test_the_grammar_accepts_what_packetdrill_s_manual_shows() -> None:
    """A server's script in the style of packetdrill's own tests."""
    script = """\
--ip_version=ipv4
// Establish a connection.
   0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
  +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
  +0 bind(3, ..., ...) = 0
  +0 listen(3, 1) = 0
  +0...0.2 accept(3, ..., ...) = 4
 +.1 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
  +0 > S. 0:0(0) ack 1 <...>
 +.1 < . 1:1(0) ack 1 win 257 <sack 3:5 7:9,nop,nop>
  +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 5}], msg_flags=0}, 0) = -1 EAGAIN (Try again)
  +0 poll([{fd=4, events=POLLIN|POLLERR, revents=POLLIN}], 1, 0) = 1
"""
    assert len(parse(script)) == 10
