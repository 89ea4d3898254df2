"""Two machines' captures of the same traffic, joined to one: which packets both saw, and on which clock.

    both ─▶ the packets that are in each exactly once ─▶ from which side each came ─▶ the clocks (`clocks`)
         ─▶ the second's stamps by the first's clock ─▶ one timeline: each packet leaves here and arrives there

Whose a packet is: its TTL is greater where it is nearer to its sender; on one link, where it is equal, what the
capture says of its direction, else the times: an answer comes later after its question where the question was asked.
What does *not* belong here: files, and the pairing of each single packet (`pairing`, by the same sameness).
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from statistics import median_low

from rawlab.attribution.clocks import Ahead, Point, compare
from rawlab.attribution.pairing import Decode
from rawlab.attribution.sameness import Same, same, shortest, untranslated
from rawlab.model.event import Call, Frame
from rawlab.model.facts import Facts, TcpSegment
from rawlab.model.timeline import Host, Run, Timeline
from rawlab.model.timeline import Point as Observed

Pair = tuple[str, str]
"(source, destination)"
Numbers = tuple[int, int]
"of the first, of the second"


@dataclass(slots=True)
class Capture:
    """One machine's capture, decoded."""

    timeline: Timeline
    facts: list[Facts]
    keys: list[Same] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    "of its side of the traffic that both saw"
    macs: set[str] = field(default_factory=set)
    "the link-layer addresses that its machine sends from"

    def packets(self) -> Iterator[tuple[Frame, Facts]]:
        """Each frame with what it says."""
        return zip(self.timeline.frames, self.facts, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The captures, joined."""

    timeline: Timeline
    names: Pair
    "the first's host and the second's"
    ahead: Ahead
    "how far the second's clock is ahead of the first's"
    both: int
    "packets in both"
    sent_only: tuple[int, int]
    "packets from one side to the other that only the sender's capture has, of the first's and the second's"
    came_only: tuple[int, int]
    "those that only the receiver's has"
    others: tuple[int, int]
    "packets that were not between the two, in the first and in the second"
    forth_ns: tuple[int, int] | None
    "the least and the median time on the way from the first to the second; None: none was seen in both"
    back_ns: tuple[int, int] | None
    guessed: bool
    "only one direction was seen, and nothing says from which side: the first's is taken"


class NothingInCommon(ValueError):
    """No packet is in both; `translated`: the same data are, from other addresses."""

    def __init__(self, *, translated: bool) -> None:
        super().__init__("no packet is in both")
        self.translated = translated


def join(one: Timeline, other: Timeline, decode: Decode, names: Pair | None = None) -> Joined:
    """The second capture's packets and calls by the first's clock, with its own. Raises NothingInCommon, NoClock.

    `names`: the two hosts'.
    """
    first, second = _decoded(one, decode), _decoded(other, decode)
    limit = shortest(chain(first.packets(), second.packets()))
    for capture in (first, second):
        capture.keys = [same(frame.data, facts, limit) for frame, facts in capture.packets()]
    common = _common(first, second)
    if not common:
        raise NothingInCommon(translated=_is_translated(first, second))
    forth, back, guessed = _directions(first, second, common)
    differences = _differences(first, second, common, forth), _differences(first, second, common, back)
    ahead = compare(*differences, _resolution(one) + _resolution(other))
    _learn(first, second, common, forth, back)
    return _told(first, second, ahead, differences, names, guessed=guessed)


def _decoded(timeline: Timeline, decode: Decode) -> Capture:
    links = [point.linktype for point in timeline.points]
    return Capture(timeline, [decode(frame.data, links[frame.point], frame.length) for frame in timeline.frames])


def _resolution(timeline: Timeline) -> int:
    """Of its stamps, in ns: by how much they may be cut."""
    for resolution in (1_000_000_000, 1_000_000, 1000):
        if all(frame.at_ns % resolution == 0 for frame in timeline.frames):
            return resolution
    return 0


# ---------------------------------------------------------------------------------------------- sameness


def _common(first: Capture, second: Capture) -> list[tuple[int, int]]:
    """(index, index) of the packets that each capture has exactly once: they alone tell of the clocks."""
    one, other = Counter(first.keys), Counter(second.keys)
    where = {key: index for index, key in enumerate(second.keys) if other[key] == 1}
    return [
        (index, where[key])
        for index, key in enumerate(first.keys)
        if one[key] == 1 and key in where and _is_unicast(first.facts[index])
    ]


def _is_unicast(facts: Facts) -> bool:
    """Whether it is an IP packet to one host: what goes to many, any third host may have sent."""
    if facts.ip is None:
        return False
    address = ipaddress.ip_address(facts.ip.destination)
    return not address.is_multicast and not facts.ip.destination.endswith(".255")


def _is_translated(first: Capture, second: Capture) -> bool:
    """Whether the same data are in both, under other addresses."""
    mine, theirs = (
        {
            found
            for frame, facts in capture.packets()
            if (found := untranslated(frame.data, facts)) is not None and len(str(found[2])) > _TELLING
        }
        for capture in (first, second)
    )
    return not mine.isdisjoint(theirs)


_TELLING = 8  # octets of data, about: fewer are the same by chance


# --------------------------------------------------------------------------------------------- directions


def _directions(
    first: Capture, second: Capture, common: Sequence[tuple[int, int]]
) -> tuple[set[Pair], set[Pair], bool]:
    """Which pairs of addresses are from the first's side to the second's, which back; and whether that is a guess."""
    votes: dict[Pair, int] = defaultdict(int)
    differences: dict[Pair, list[int]] = defaultdict(list)
    for i, j in common:
        pair = _pair(first.facts[i])
        votes[pair] += _vote(first, second, i, j)
        differences[pair].append(second.timeline.frames[j].at_ns - first.timeline.frames[i].at_ns)
    forth = {pair for pair, vote in votes.items() if vote > 0}
    back = {pair for pair, vote in votes.items() if vote < 0}
    open_pairs = [pair for pair in votes if pair not in forth and pair not in back]
    for pair in open_pairs:
        other = pair[1], pair[0]
        if other in forth or other in back:
            (back if other in forth else forth).add(pair)
        elif other in differences:
            later = median_low(differences[pair]) > median_low(differences[other])
            (forth if later else back).add(pair)
            (back if later else forth).add(other)
    left = [pair for pair in open_pairs if pair not in forth and pair not in back]
    mine = {source for source, _ in forth} | {destination for _, destination in back}
    theirs = {source for source, _ in back} | {destination for _, destination in forth}
    guessed = not forth and not back
    for pair in left:
        if guessed or pair[0] in mine or pair[1] in theirs:
            forth.add(pair)
        elif pair[0] in theirs or pair[1] in mine:
            back.add(pair)
    return forth, back, guessed


def _pair(facts: Facts) -> Pair:
    assert facts.ip is not None
    return facts.ip.source, facts.ip.destination


def _vote(first: Capture, second: Capture, i: int, j: int) -> int:
    """1 where the packet came from the first's side, -1 from the second's, 0 where it does not say."""
    one, other = first.facts[i].ip, second.facts[j].ip
    assert one is not None
    assert other is not None
    if one.ttl != other.ttl:
        return 1 if one.ttl > other.ttl else -1
    mine, theirs = first.timeline.frames[i].outgoing, second.timeline.frames[j].outgoing
    if mine is not None and mine is not theirs:
        return 1 if mine else -1
    if theirs is not None and mine is not theirs:
        return -1 if theirs else 1
    return 0


def _differences(
    first: Capture, second: Capture, common: Iterable[tuple[int, int]], wanted: set[Pair]
) -> list[Point]:
    """(when by the first's clock, the second's stamp less the first's) of the packets between those addresses."""
    return [
        (at_ns := first.timeline.frames[i].at_ns, second.timeline.frames[j].at_ns - at_ns)
        for i, j in common
        if _pair(first.facts[i]) in wanted
    ]


def _learn(
    first: Capture,
    second: Capture,
    common: Iterable[tuple[int, int]],
    forth: set[Pair],
    back: set[Pair],
) -> None:
    """Each side's addresses, and of its own machine the link-layer's."""
    first.addresses = {source for source, _ in forth} | {destination for _, destination in back}
    second.addresses = {source for source, _ in back} | {destination for _, destination in forth}
    for i, j in common:
        pair = _pair(first.facts[i])
        for capture, index, sends in ((first, i, pair in forth), (second, j, pair in back)):
            if sends and capture.facts[index].source_mac is not None:
                capture.macs.add(str(capture.facts[index].source_mac))


# ---------------------------------------------------------------------------------------------- timeline


def _told(
    first: Capture,
    second: Capture,
    ahead: Ahead,
    differences: tuple[Sequence[Point], Sequence[Point]],
    names: Pair | None,
    *,
    guessed: bool,
) -> Joined:
    counts = Counter(first.keys), Counter(second.keys)
    both = sum((counts[0] & counts[1]).values())
    mine, theirs = names or _roles(first, second)
    forth, back = differences
    parts = [_placed(first, mine, 0, None), _placed(second, theirs, len(first.timeline.points), ahead)]
    if mine == "server":
        parts.reverse()
    timeline = Timeline(
        run=Run(),
        hosts=tuple(host for hosts, _, _, _ in parts for host in hosts),
        points=tuple(point for _, points, _, _ in parts for point in points),
        calls=tuple(sorted((call for _, _, calls, _ in parts for call in calls), key=lambda call: call.entered_ns)),
        frames=tuple(frame for _, _, _, frames in parts for frame in frames),
    )
    if mine == "server":
        timeline = _swapped(timeline, len(first.timeline.points), len(second.timeline.points))
    sent, came, others = _alone(first, second, counts)
    return Joined(
        timeline=timeline,
        names=(mine, theirs),
        ahead=ahead,
        both=both,
        sent_only=sent,
        came_only=came,
        others=others,
        forth_ns=_times([by - ahead.at(at) for at, by in forth]),
        back_ns=_times([ahead.at(at) - by for at, by in back]),
        guessed=guessed,
    )


def _roles(first: Capture, second: Capture) -> Pair:
    """('client', 'server') where the first's side opens connections; without any, where it spoke first."""
    opened = Counter(
        facts.ip.source in first.addresses
        for capture in (first, second)
        for facts in capture.facts
        if facts.ip is not None and isinstance(facts.transport, TcpSegment)
        if "S" in facts.transport.flags and "A" not in facts.transport.flags
        if facts.ip.source in first.addresses or facts.ip.source in second.addresses
    )
    if opened[True] == opened[False]:
        spoke = (facts.ip.source for facts in first.facts if facts.ip is not None)
        known = (source in first.addresses for source in spoke if source in first.addresses | second.addresses)
        return ("client", "server") if next(known, True) else ("server", "client")
    return ("client", "server") if opened[True] > opened[False] else ("server", "client")


def _placed(
    capture: Capture, name: str, base: int, ahead: Ahead | None
) -> tuple[list[Host], list[Observed], list[Call], list[Frame]]:
    """One side of the timeline: its host, its points, its calls and frames, by the first's clock."""
    timeline = capture.timeline
    counted = Counter(frame.point for frame in timeline.frames)
    points = [
        replace(
            point,
            name=name if index == 0 else f"{name}{index + 1}",
            host=name,
            captured=counted[index],
            dropped=point.dropped or 0,
        )
        for index, point in enumerate(timeline.points)
    ]

    def by_ours(at_ns: int) -> int:
        return at_ns if ahead is None else ahead.corrected(at_ns)

    frames = [
        replace(frame, point=base + frame.point, at_ns=by_ours(frame.at_ns), outgoing=_leaves(frame, facts, capture))
        for frame, facts in capture.packets()
    ]
    calls = [
        replace(
            call,
            host=name,
            entered_ns=by_ours(call.entered_ns),
            returned_ns=None if call.returned_ns is None else by_ours(call.returned_ns),
            state_ns=None if call.state_ns is None else by_ours(call.state_ns),
        )
        for call in timeline.calls
    ]
    own = [address for host in timeline.hosts for address in host.addresses] if len(timeline.hosts) == 1 else []
    addresses = tuple(dict.fromkeys([*sorted(capture.addresses), *own]))
    return [Host(name=name, addresses=addresses)], points, calls, frames


def _leaves(frame: Frame, facts: Facts, capture: Capture) -> bool | None:
    """Whether its machine sent it: by the addresses, else by the link layer's."""
    if facts.ip is not None and (facts.ip.source in capture.addresses) != (facts.ip.destination in capture.addresses):
        return facts.ip.source in capture.addresses
    if frame.outgoing is not None or facts.source_mac is None:
        return frame.outgoing
    return str(facts.source_mac) in capture.macs


def _swapped(timeline: Timeline, mine: int, theirs: int) -> Timeline:
    """The second capture's points first: its host stands on the left."""
    moved = {index: theirs + index if index < mine else index - mine for index in range(mine + theirs)}
    return replace(timeline, frames=tuple(replace(frame, point=moved[frame.point]) for frame in timeline.frames))


def _alone(
    first: Capture, second: Capture, counts: tuple[Mapping[Same, int], Mapping[Same, int]]
) -> tuple[Numbers, Numbers, Numbers]:
    """How many packets only one capture has: sent to the other's side, come from there, and neither."""
    found: list[tuple[int, int, int]] = []
    for capture, other, has, lacks in ((first, second, *counts), (second, first, *counts[::-1])):
        sent = came = others = 0
        left = {key: max(number - lacks.get(key, 0), 0) for key, number in has.items()}
        for key, facts in zip(capture.keys, capture.facts, strict=True):
            if left[key] == 0:
                continue
            left[key] -= 1
            ends = (facts.ip.source, facts.ip.destination) if facts.ip is not None else ("", "")
            if ends[0] in capture.addresses and ends[1] in other.addresses:
                sent += 1
            elif ends[1] in capture.addresses and ends[0] in other.addresses:
                came += 1
            else:
                others += 1
        found.append((sent, came, others))
    one, two = found
    return (one[0], two[0]), (one[1], two[1]), (one[2], two[2])


def _times(delays: Sequence[int]) -> Numbers | None:
    """The least and the median."""
    return (max(min(delays), 0), max(median_low(delays), 0)) if delays else None
