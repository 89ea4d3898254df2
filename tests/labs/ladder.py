"""What a run of a lab must show, written as a ladder, and held against the story of a run.

    s2  server   listen(3, 10) = 0
    s3  server   accept(3, CLIENT:*) = 4            | waited p3
    c2  client   connect(3, 10.0.0.2:7) = 0         | sent p1 waited p2
    p1  client>  [S] seq 0, len 0                   | call c2                              | SYN-SENT LISTEN
    p2  server>  [S.] seq 0, ack 1, len 0           | kernel s2 p1 ~ no accept is needed
    p7? server>  [.] ack 7, len 0                   | kernel p6
    before: p5 sent, p6 arrived

A line is a label, who, what happened; behind bars what the story must say of it; '#' begins a comment. In order are
the calls of each process, and the packets of each sender: between two hosts a ladder promises no order but that of
causes (a packet leaves after its calls were entered and its packets arrived, see `laws`) and that of 'before:' lines.

    label    the ladder's own name of it: behind it '?' none or one, '+' one or more, '*' any number, '{2,5}'
    who      'client', 'server', 'router', 'server/2' (its second process); a packet's sender with '>', and where
             several conversations overlap ':2' for the second to begin
    what     strace's words for a call, the table's for a packet; windows and SCTP's tags only where
             they matter.
             * any number; <3..9> a number within bounds; "*" any string; "x"... one that the table cuts short;
             [P?.] with PSH or without; {IPv4|IPv6} whichever it is. IPv4's addresses and AF_INET stand for IPv6's, too
    | cause  kind, calls with the octets that it carries, packets, (confidence) if not exact, '~ words' of the reason.
             A call: what it sent, what it waited for; without a bar: nothing.
             A label is all that bear it; 'p6~' some of them; 'p6?' or '(inferred)?' perhaps
    | states client's and server's when it left (after it, for a call); '-' none, '*' any, 'A/B' either

Packets that find a neighbour's link-layer address (ARP, ICMPv6) stand in no ladder; nor do, where a ladder does not
speak of them ('again'), the few segments that a busy machine's timers send again, and what answers those.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rawlab.model.facts import ArpMessage, IcmpMessage
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.rows import STRSIZE, words
from rawlab.wire.strace import format_call
from tests.labs.runs import Run, Runs, repetitions

LADDERS = Path(__file__).parent / "ladders"

_LINE = re.compile(
    r"(?P<label>[a-z]\d+)(?P<count>[?+*]|\{\d+,\d+\})? +"
    r"(?P<who>client|router|server)(?P<lane>[/:]\d+)?(?P<packet>>)? +(?P<what>.*)"
)
_COUNTS = {None: (1, 1), "?": (0, 1), "+": (1, 1000), "*": (0, 1000)}
_WILD = re.compile(r'"\*"|P\?|"([^"]+)"\.\.\.|<(\d+)\.\.(\d+)>|\*')
_IPV6 = (("AF_INET", "AF_INET6"), ("0.0.0.0:", "[::]:"))
_REFERENCE = re.compile(r"(?P<label>[a-z]\d+)(?P<octets>\[\d+:\d+\])?(?P<some>[~?])?")
_AGAIN = re.compile(
    r"again: packet \d+ was not|again, as in packet|out of order or once more|when the connection was over"
)
_FEW = 6  # segments that timers may send again, and answers to them, in one run


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a ladder."""

    label: str
    least: int
    most: int
    lane: str
    "'server/2' of calls, 'server>2' of packets"
    what: str
    said: tuple[str, ...]
    "what stands behind the bars"

    def fits(self, text: str) -> bool:
        """Whether a call or packet is what the line says."""
        if "win " not in self.what:
            text = re.sub(r", win \d+", "", text)
        return _fits(self.what, text if "tag " in self.what else re.sub(r" tag [0-9a-f]{8},?", "", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A call or a packet of a story, as a ladder sees it."""

    lane: str
    text: str
    told: CallStory | Packet


@dataclass(slots=True)
class Ladder:
    """A ladder, and which events of a story its labels are."""

    lines: list[Line] = field(default_factory=list)
    orders: list[tuple[str, str, str, str]] = field(default_factory=list)
    "(label, moment, label, moment) of each 'before:' line"
    bound: dict[str, list[CallStory | Packet]] = field(default_factory=dict)
    tells_again: bool = False
    "whether it speaks of what is sent again"
    beside: set[int] = field(default_factory=set)
    "numbers of the packets that stand in no ladder"

    @property
    def conversations(self) -> bool:
        """Whether packets are told apart by conversation, not by sender alone."""
        return any(line.lane[-2:-1] == ">" and line.lane[-1] != "0" for line in self.lines)


def read(text: str, *, ipv6: bool = False) -> Ladder:
    """The ladder, in the words of that IP version."""
    ladder = Ladder()
    for written in text.splitlines():
        line = re.split(r"(?:^|\s)#", written)[0].strip()
        if line.startswith("before:"):
            found = re.fullmatch(r"before: (\w+) (\w+), (\w+) (\w+)", line)
            assert found, f"{line!r}: expected 'before: p5 sent, p6 arrived'"
            ladder.orders.append((found[1], found[2], found[3], found[4]))
        elif line:
            ladder.lines.append(_line(line, ipv6))
    labels = [line.label for line in ladder.lines]
    assert len(set(labels)) == len(labels), f"a label stands twice: {sorted(labels)}"
    ladder.tells_again = any("again" in line.partition("#")[0] for line in text.splitlines())
    return ladder


def _line(line: str, ipv6: bool) -> Line:
    head, *said = [part.strip() for part in re.split(r"\s\|\s", line)]
    found = _LINE.fullmatch(head)
    assert found, f"{head!r}: expected label, who, what"
    count = found["count"]
    least, most = _COUNTS[count] if count in _COUNTS else map(int, count[1:-1].split(","))
    number = (found["lane"] or ("0" if found["packet"] else "1")).lstrip("/:")
    return Line(
        label=found["label"],
        least=least,
        most=most,
        lane=f"{found['who']}{'>' if found['packet'] else '/'}{number}",
        what=_in_version(found["what"], ipv6),
        said=tuple(_in_version(part, ipv6) for part in said),
    )


def _in_version(text: str, ipv6: bool) -> str:
    text = re.sub(r"\{([^{}|]*)\|([^{}|]*)\}", r"\2" if ipv6 else r"\1", text)
    if ipv6:
        for four, six in _IPV6:
            text = text.replace(four, six)
        text = re.sub(r"10\.0\.([01])\.(\d+)(?=:)", r"[fd0\1::\2]", text)
        text = re.sub(r"10\.0\.([01])\.(\d+)", r"fd0\1::\2", text)
    return text


def _fits(pattern: str, text: str) -> bool:
    """Whether the text is the pattern's, with its wildcards."""
    expression, bounds = _expression(pattern)
    found = re.fullmatch(expression, text)
    return found is not None and _is_within(found, bounds)


def _stands_in(fragment: str, text: str) -> bool:
    """Whether the pattern is somewhere in the text."""
    expression, bounds = _expression(fragment.strip())
    return any(_is_within(found, bounds) for found in re.finditer(expression, text))


def _is_within(found: re.Match[str], bounds: Sequence[tuple[int, int]]) -> bool:
    return all(low <= int(number) <= high for number, (low, high) in zip(found.groups(), bounds, strict=True))


def _expression(pattern: str) -> tuple[str, list[tuple[int, int]]]:
    """A regular expression with a group for each number that may differ, and the bounds of those."""
    expression, at, bounds = "", 0, []
    for wild in _WILD.finditer(pattern):
        expression += re.escape(pattern[at : wild.start()])
        at = wild.end()
        if wild[0] == '"*"':
            expression += r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?'
        elif wild[0] == "P?":
            expression += "P?"
        elif wild[1]:
            expression += re.escape(f'"{(wild[1] * STRSIZE)[:STRSIZE]}"...')
        else:
            expression += r"(\d+)"
            bounds.append((int(wild[2] or 0), int(wild[3] or 1 << 64)))
    return expression + re.escape(pattern[at:]), bounds


# ------------------------------------------------------------------------------------------ the story


def events(story: Story, ladder: Ladder) -> Iterator[Event]:
    """The story's calls and packets, each in its lane, in order of time; which stand beside the ladder is noted."""
    pids = sorted({(told.call.host, told.call.pid) for told in story.calls})
    for told in story.calls:
        mine = [pid for host, pid in pids if host == told.call.host]
        yield Event(
            lane=f"{told.call.host}/{mine.index(told.call.pid) + 1}",
            text=format_call(told.call, STRSIZE),
            told=told,
        )
    begun: list[object] = []
    for packet in story.packets:
        if finds_neighbours(packet) or (not ladder.tells_again and _is_again(packet, ladder, story)):
            ladder.beside.add(packet.n)
            continue
        flow = packet.facts.flow
        if (conversation := flow.conversation if flow else None) not in begun:
            begun.append(conversation)
        number = begun.index(conversation) + 1 if ladder.conversations else 0
        yield Event(lane=f"{packet.sender}>{number}", text=words(packet), told=packet)


def _is_again(packet: Packet, ladder: Ladder, story: Story) -> bool:
    """Whether a timer sent it once more, or it answers nothing but such packets."""
    answered = [n for n in packet.cause.packets if not finds_neighbours(story.packets[n - 1])]
    answers = packet.cause.kind == "kernel" and answered and ladder.beside.issuperset(answered)
    return bool(answers or _AGAIN.search(packet.cause.reason))


def finds_neighbours(packet: Packet) -> bool:
    """ARP, and what ICMPv6 has in its stead (RFC 4861), with the reports and solicitations of a new interface."""
    transport = packet.facts.transport
    return isinstance(transport, ArpMessage) or (
        isinstance(transport, IcmpMessage) and transport.version == 6 and transport.type in (133, 135, 136, 143)
    )


def of_run(run: Run, runs: Runs) -> str:
    """How the run differs from its lab's ladder; '' where it fits.

    A machine that stands still for longer than a retransmission timer gives a run, as true, of another story: one
    more run is made then, which has to fit, and the difference is told as a warning.
    """
    text = (LADDERS / f"{run.wanted.lab}.ladder").read_text()
    found = differences(text, run.succeeded().story, ipv6=run.wanted.ipv6)
    if not found or repetitions() > 1:
        return found
    warnings.warn(f"{run.wanted}: the first run differed\n{found}", stacklevel=1)
    again = runs.get(replace(run.wanted, number=2))
    return differences(text, again.succeeded().story, ipv6=run.wanted.ipv6)


def differences(text: str, story: Story, *, ipv6: bool = False) -> str:
    """What the story has that the ladder has not, and the other way round, side by side; nothing where it stands."""
    ladder = read(text, ipv6=ipv6)
    lanes: dict[str, list[Event]] = defaultdict(list)
    for event in events(story, ladder):
        lanes[event.lane].append(event)
    wanted: dict[str, list[Line]] = defaultdict(list)
    for line in ladder.lines:
        wanted[line.lane].append(line)
    unlike = [
        difference
        for lane in sorted({*lanes, *wanted})
        if (difference := _bind(ladder, lane, wanted[lane], lanes[lane]))
    ]
    if len(again := [n for n in sorted(ladder.beside) if not finds_neighbours(story.packets[n - 1])]) > _FEW:
        unlike.append(f"sent again, or in answer to that: packets {again}: expected {_FEW} at the most")
    return "\n\n".join(unlike or _edges(ladder))


def _bind(ladder: Ladder, lane: str, lines: Sequence[Line], found: Sequence[Event]) -> str:
    """Binds each line's label to its events; what differs, if they are not the lines' in their order."""
    reached = 0, 0
    failed: set[tuple[int, int]] = set()

    def match(line: int, event: int) -> list[int] | None:
        """How many events each line from here on takes."""
        nonlocal reached
        reached = max(reached, (event, line))
        if (line, event) in failed:
            return None
        if line == len(lines):
            return [] if event == len(found) else None
        run = 0
        while run < lines[line].most and event + run < len(found) and lines[line].fits(found[event + run].text):
            run += 1
        for taken in range(run, lines[line].least - 1, -1):
            if (rest := match(line + 1, event + taken)) is not None:
                return [taken, *rest]
        failed.add((line, event))
        return None

    taken = match(0, 0)
    if taken is None:
        return _side_by_side(lane, lines, found, *reached)
    at = 0
    for line, count in zip(lines, taken, strict=True):
        ladder.bound[line.label] = [event.told for event in found[at : at + count]]
        at += count
    return ""


def _side_by_side(lane: str, lines: Sequence[Line], found: Sequence[Event], event: int, line: int) -> str:
    """All of a lane; the first line that found no event of its own is marked."""
    left = [f"{expected.label:4} {expected.what}" for expected in lines]
    right = [f"{_name(actual.told):4} {actual.text}" for actual in found]
    rows = max(len(left) - line, len(right) - event) + 1
    above = [(text, "") for text in left[: max(line - event, 0)]]
    above += [("", text) for text in right[: max(event - line, 0)]]
    above += list(zip(left[max(line - event, 0) : line], right[max(event - line, 0) : event], strict=True))
    below = [(left[line + n : line + n + 1] or [""], right[event + n : event + n + 1] or [""]) for n in range(rows)]
    pairs = above + [(one[0], other[0]) for one, other in below]
    width = max(len(one) for one, _ in pairs)
    marks = [" "] * len(above) + ["≠"] + [" "] * len(below)
    table = [f"{mark} {one:{width}} │ {other}" for mark, (one, other) in zip(marks, pairs, strict=False)]
    return "\n".join([f"{lane}: what the ladder expects │ what came", *table]).rstrip(" │\n")


def _name(told: CallStory | Packet) -> str:
    return f"{'p' if isinstance(told, Packet) else 'c'}{told.n}"


# -------------------------------------------------------------------------------------------- the edges


def _edges(ladder: Ladder) -> list[str]:
    """What the story says of causes, waits, states and order against what stands behind the ladder's bars."""
    labels = {
        ("p" if isinstance(told, Packet) else "c", told.n): label
        for label, bound in ladder.bound.items()
        for told in bound
    }
    wrong = []
    for line in ladder.lines:
        for told in ladder.bound[line.label]:
            head = f"{line.label} ({_name(told)}) {line.what}"
            is_, should = _edge(told, labels, ladder), line.said[0] if line.said else "nothing"
            if not _is_said(ladder, is_, should, _reason(told)):
                wrong.append(f"{head}\n  expected {should}\n  told     {is_} ~ {_reason(told)}")
            states = told.states if isinstance(told, Packet) else told.states_after
            if len(line.said) > 1 and not _are_states(line.said[1], dict(states)):
                wrong.append(f"{head}\n  expected {line.said[1]}\n  states   {dict(states)}")
    return wrong + [f"not so: {' '.join(order)}" for order in ladder.orders if not _in_order(ladder, order)]


def _edge(told: CallStory | Packet, labels: Mapping[tuple[str, int], str], ladder: Ladder) -> str:
    """A cause, or what a call sent and waited for, in the ladder's words."""
    if isinstance(told, CallStory):
        both = ("sent", told.sent), ("waited", told.waited_for)
        parts = [(word, _labels(numbers, labels, ladder)) for word, numbers in both]
        return " ".join(f"{word} {' '.join(names)}" for word, names in parts if names) or "nothing"
    octets = {n: f"[{first}:{end}]" for n, first, end in told.cause.bytes}
    calls = [labels.get(("c", n), f"c{n}!") + octets.get(n, "") for n in told.cause.calls]
    parts_ = [told.cause.kind, *calls, *_labels(told.cause.packets, labels, ladder)]
    parts_ += [f"({told.cause.confidence})"] if told.cause.confidence != "exact" else []
    return " ".join(parts_ + (["lost"] if told.lost else []))


def _labels(numbers: Sequence[int], labels: Mapping[tuple[str, int], str], ladder: Ladder) -> list[str]:
    """The packets' labels, '~' behind one of which not all are here; a number where a packet has none."""
    here = [labels.get(("p", n), f"p{n}!") for n in numbers if n not in ladder.beside]
    return [
        label + ("~" if here.count(label) < len(ladder.bound.get(label, ())) else "") for label in dict.fromkeys(here)
    ]


def _reason(told: CallStory | Packet) -> str:
    return told.why if isinstance(told, CallStory) else told.cause.reason


def _is_said(ladder: Ladder, is_: str, should: str, reason: str) -> bool:
    """Whether the edges are those that the ladder names, and its words of the reason stand there."""
    edges, *fragments = re.split(r"(?:^|\s)~\s", should)
    if any(not _stands_in(fragment, reason) for fragment in fragments):
        return False
    left = is_.split()
    for word in edges.split():
        same = [other for other in left if _is_word(other, word)][:1]
        if not same and not word.endswith("?") and not (word[-1] != "~" and _is_unbound(ladder, word)):
            return False
        left = [other for other in left if other not in same]
    return not left


def _is_word(told: str, should: str) -> bool:
    """Whether a word of the story's edge is the ladder's: 'p6~' and 'p6?' stand for 'p6' too, 'c7' for 'c7[0:5]'."""
    plain = should.rstrip("~?")
    return told in (plain, should) or (
        _REFERENCE.fullmatch(plain) is not None
        and (("[" not in plain and told.partition("[")[0] == plain) or (plain != should and told == f"{plain}~"))
    )


def _is_unbound(ladder: Ladder, word: str) -> bool:
    """Whether it is the label of what did not happen this time, and need not."""
    found = _REFERENCE.fullmatch(word)
    return found is not None and found["label"] in ladder.bound and not ladder.bound[found["label"]]


def _are_states(should: str, states: Mapping[str, str | None]) -> bool:
    return all(
        word == "*" or (states.get(host) or "-") in word.split("/")
        for host, word in zip(("client", "server"), should.split(), strict=True)
    )


def _in_order(ladder: Ladder, order: tuple[str, str, str, str]) -> bool:
    first = [_moment(told, order[1]) for told in ladder.bound[order[0]]]
    then = [_moment(told, order[3]) for told in ladder.bound[order[2]]]
    return max(first) <= min(then)


def _moment(told: CallStory | Packet, moment: str) -> int:
    match told, moment:
        case Packet(), "sent":
            at_ns = told.sent_ns
        case Packet(), "arrived":
            at_ns = told.arrived_ns
        case CallStory(), "entered":
            at_ns = told.call.entered_ns
        case CallStory(), "returned":
            at_ns = told.call.returned_ns
        case _:
            raise AssertionError(f"{moment!r}: expected sent, arrived, entered or returned")
    assert at_ns is not None, f"{_name(told)} has not {moment}"
    return at_ns
