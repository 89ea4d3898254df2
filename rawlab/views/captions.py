"""What a drawing writes beside a packet, a call, a time: few words, large, and more, smaller."""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.model.facts import TcpSegment
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.conversations import Conversation
from rawlab.views.counting import count
from rawlab.views.escape import terminal
from rawlab.views.lanes import MOST
from rawlab.views.rows import STRSIZE, bases, text_of
from rawlab.wire.line import relative
from rawlab.wire.packets import option_words
from rawlab.wire.strace import format_call, format_entry
from rawlab.wire.symbols import tcp_flags

WORDS, SMALL = 16.0, 12.0
"sizes, in points"
LOST = " — lost"
_CALL_CELLS = 42  # of a call's words at the most
_MOST_LEGEND = 8
_FAR = 1000  # packets, in which the peer has spoken last
_TIMESTAMPS = 8  # the kind of TCP's option (RFC 7323)


def packet_words(packet: Packet, story: Story) -> Sequence[tuple[str, float]]:
    """Few words, and, smaller, the rest: (text, size) of each line."""
    lost = LOST if packet.lost else ""
    segment = packet.facts.transport
    if not isinstance(segment, TcpSegment):
        return ((terminal(text_of(packet, story)) + lost, WORDS),)
    seq_base, ack_base = bases(packet)
    numbers = f"[{tcp_flags(segment.flags)}]"
    if segment.length or set(segment.flags) & set("SFR") or _is_probe(packet, story):
        first, end = relative(segment.seq, seq_base), relative(segment.seq + segment.length, seq_base)
        numbers += f" seq {first}:{end}" if segment.length else f" seq {first}"
    if "A" in segment.flags:
        numbers += f" ack {relative(segment.ack, ack_base)}"
    octets = [count(segment.length, "octet")] if segment.length else []
    options = ["TS" if option.kind == _TIMESTAMPS else option_words(option, ack_base) for option in segment.options]
    more = [*octets, f"win {segment.window}", *(option for option in options if option != "nop")]
    return ((numbers + lost, WORDS), (", ".join(more), SMALL))


def _is_probe(packet: Packet, story: Story) -> bool:
    """Whether its number is one below what the peer last acknowledged: of such a segment the number is the point."""
    flow = packet.facts.flow
    if flow is None or packet.seq is None:
        return False
    for n in range(packet.n - 1, max(packet.n - _FAR, 0), -1):
        before = story.packets[n - 1]
        theirs = before.facts.flow
        if theirs is not None and (theirs.source, theirs.destination) == (flow.destination, flow.source):
            return before.ack is not None and packet.seq == before.ack - 1
    return False


def call_words(told: CallStory) -> str:
    """The call as strace has it; of a long one the result, and what of the arguments there is room for."""
    whole = terminal(format_call(told.call, STRSIZE))
    if len(whole) <= _CALL_CELLS:
        return whole
    before, mark, result = whole.rpartition(") = ")
    result = result.partition(" (")[0]
    room = _CALL_CELLS - len(result) - 6
    return f"{before[:room]} …{mark}{result}" if mark and room > 8 else f"{whole[: _CALL_CELLS - 1]}…"


def entry_words(told: CallStory) -> str:
    """What is known of the call before it has returned, no longer than `call_words`."""
    room = len(call_words(told))
    entered = terminal(format_entry(told.call, STRSIZE)).removesuffix(" <unfinished ...>")
    return f"{entered[: max(room - 2, 1)]} …"


def marked(lines: Sequence[tuple[str, float]], number: int | None) -> Sequence[tuple[str, float]]:
    """A packet's words, first whose they are: '#2 [S] seq 0' of the second conversation."""
    if number is None:
        return lines
    (text, size), *more = lines
    return ((f"#{number} {text}", size), *more)


def title(story: Story, names: Sequence[str]) -> str:
    """What the whole drawing shows."""
    what = "calls and packets" if story.calls else "packets"
    return f"{story.timeline.run.lab or 'capture'}: {what} of {' and '.join(names)}"


def notes(story: Story, legend: Sequence[Conversation], laned: Sequence[int]) -> list[str]:
    """What must be said below: whose each number is (`legend`), what has no lane (of `laned`), what is inferred."""
    told = [f"#{one.n}  {one}" for one in legend[:_MOST_LEGEND]]
    if len(legend) > _MOST_LEGEND:
        told.append(f"+{len(legend) - _MOST_LEGEND} more conversations")
    if len(laned) > MOST:
        more = len(laned) - MOST
        told.append(f"states: of the first {MOST} conversations; +{more} more have no lane; --flow N shows one")
    if not story.calls and not story.packets:
        told.append("the capture holds no packets")
    elif not story.calls:
        told.append("inferred from the packets alone: the capture holds no calls")
    dropped = sum(point.dropped or 0 for point in story.timeline.points)
    if dropped:
        told.append(f"{dropped} frames were dropped: the capture could not keep up")
    if story.timeline.damaged_at is not None or not story.timeline.complete:
        told.append("the capture is damaged or was cut off: more happened than is shown")
    return [terminal(note) for note in told]


def strokes(packets: Sequence[Packet], calls: Sequence[CallStory] = ()) -> list[str]:
    """What each kind of line means, of those that there are: one note, or none."""
    kinds = {packet.cause.kind for packet in packets}
    whose = "sent by a call" if any(packet.cause.calls for packet in packets) else "sent by a process"
    solid = [words for kind, words in (("call", whose), ("unknown", "unknown by what")) if kind in kinds]
    told = [f"solid: {' or '.join(solid)}"] if solid else []
    if "kernel" in kinds:
        told.append("dashed: sent by a kernel itself")
    if {packet.n for packet in packets} & {n for one in calls for n in one.waited_for}:
        told.append("dotted: what a call waited for")
    return [f"lines: {'; '.join(told)}"] if told else []


def duration(ns: int) -> str:
    """'12.345 ms', '3.2 s'."""
    return f"{ns / 1e6:.3f} ms" if ns < 1_000_000_000 else f"{ns / 1e9:.3f} s"
