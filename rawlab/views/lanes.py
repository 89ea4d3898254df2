"""The states that a ladder's lanes show: one lane for each host and each conversation, and when each state began.

A conversation's states are the story's transitions, each at the very moment that brought it. Before those, its socket's
own: CLOSED when it was made, LISTEN where a listening socket waits for it. Where only a part is shown, a lane begins
with the state that holds then.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.conversations import Conversations
from rawlab.views.places import Places

Key = tuple[str, int, int]
"""('c' or 'p', number, 0 beginning or 1 end)"""

MOST = 4
"conversations that have lanes"

_BEFORE = ("CLOSED", "LISTEN")
Lane = tuple[int, int]
"""(host's place among the lifelines, conversation's number; 0 where the story has none)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened."""

    at_ns: int
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A state that began."""

    key: Key
    "at this moment"
    host: int
    "its place among the lifelines"
    conversation: int
    state: str


def changes(
    story: Story,
    moments: Sequence[Moment],
    calls: Mapping[int, CallStory],
    packets: Mapping[int, Packet],
    conversations: Conversations,
    places: Places,
) -> list[Change]:
    """All of them, of the calls and packets that are shown, in order of `moments`."""
    present = {conversations.of_packet[n] for n in packets if n in conversations.of_packet}
    present |= {number for n in calls if len(conversations.of_call[n]) == 1 for number in conversations.of_call[n]}
    present |= set() if conversations.all else {0}
    lanes: dict[Lane, list[tuple[int, str]]] = defaultdict(list)
    for one in story.transitions:
        if (place := places.of_end(one.host, story.packets[one.packet - 1])) is not None:
            lanes[place, conversations.of_packet.get(one.packet, 0)].append((one.at_ns, one.state))
    earlier = _by_calls(story, conversations, places, lanes)
    found: list[tuple[int, Change]] = []
    for lane in {**earlier, **lanes}:
        if lane[1] in present:
            is_at = partial(_is_at, lane=lane, packets=packets, conversations=conversations, places=places)
            found += _placed(lane, [*earlier[lane], *lanes[lane]], moments, is_at)
    return [change for _, change in sorted(found, key=lambda pair: pair[0])]


def _by_calls(
    story: Story,
    conversations: Conversations,
    places: Places,
    lanes: Mapping[Lane, Sequence[tuple[int, str]]],
) -> dict[Lane, list[tuple[int, str]]]:
    """(when, state) of each lane, as calls tell it: until the conversation begins, and where it listens again."""
    found: dict[Lane, list[tuple[int, str]]] = defaultdict(list)
    for told in story.calls:
        call = told.call
        returned = call.entered_ns if call.returned_ns is None else call.returned_ns
        for number in conversations.of_call[told.n] if conversations.all else (0,):
            lane = (places.of_host(call.host), number)
            if number and lane not in lanes:
                continue
            for at_ns, states in ((call.entered_ns, told.states), (returned, told.states_after)):
                state = dict(states).get(call.host)
                if state and (not number or (state in _BEFORE and _waits(lanes[lane], at_ns))):
                    found[lane].append((at_ns, state))
    return found


def _waits(told: Sequence[tuple[int, str]], at_ns: int) -> bool:
    """Whether the conversation had not begun by then, or was over for a listening socket."""
    earlier = [state for when, state in told if when <= at_ns]
    return not earlier or earlier[-1] == "LISTEN"


def _placed(
    lane: Lane, told: Sequence[tuple[int, str]], moments: Sequence[Moment], is_at: Callable[[Key], bool]
) -> list[tuple[int, Change]]:
    """(place in `moments`, change) of each state that differs from the one before it."""
    found: dict[int, str] = {}
    for at_ns, state in sorted(told, key=lambda pair: pair[0]):
        first = bisect_left(moments, at_ns, key=lambda moment: moment.at_ns)
        if first == len(moments):
            break
        end = bisect_right(moments, at_ns, key=lambda moment: moment.at_ns)
        found[next((n for n in range(first, end) if is_at(moments[n].key)), first)] = state
    changed: list[tuple[int, Change]] = []
    for number, state in found.items():
        if not changed or changed[-1][1].state != state:
            changed.append((number, Change(key=moments[number].key, host=lane[0], conversation=lane[1], state=state)))
    return changed


def _is_at(
    key: Key, lane: Lane, packets: Mapping[int, Packet], conversations: Conversations, places: Places
) -> bool:
    """Whether at that moment a packet of the lane's conversation left its host or reached it."""
    kind, n, end = key
    if kind != "p" or conversations.of_packet.get(n, 0) != lane[1]:
        return False
    seen_at_one_point = packets[n].sent_ns is None or packets[n].arrived_ns is None
    return seen_at_one_point or places.ends(packets[n])[end] == lane[0]
