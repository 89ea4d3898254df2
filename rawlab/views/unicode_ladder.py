"""The ladder in characters, for a terminal, a mail, a listing: a row for each packet, each call's entry and return.

         ms        client ┃                                        ┃ server
     10.722             ┏ ├ connect(3, 10.0.0.2:7 …                │
     10.791    SYN-SENT ┃ ├── [S] seq 0 ──────────────────────────▶│

Calls stand beside their host's lifeline, where in other rows packets stand; a bar on its outer side goes on as long as
a call blocks. A state is written where it begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from wcwidth import wcswidth

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views import lanes, time_axis
from rawlab.views.captions import LOST, duration, marked, notes, packet_words, strokes
from rawlab.views.conversations import Conversation, Conversations
from rawlab.views.escape import terminal
from rawlab.views.folding import fold
from rawlab.views.places import Places
from rawlab.views.rows import Row, rows

_TIME = 11
_BAR = 2  # a bar and a blank
_LEAST_WIRE = 16
_LEAST = 60  # columns
_HEADS = ("▶", "◀")
_CALL, _KERNEL, _LOST = "─", "╌", "✕"


def draw(story: Story, *, shown: Collection[str] | None = None, width: int = 120) -> str:
    """The ladder, no line of it wider than so many columns; `shown`: the rows that it is of, all where None."""
    return "".join(blocks(story, shown=shown, width=width))


def blocks(story: Story, *, shown: Collection[str] | None = None, width: int = 120) -> list[str]:
    """The ladder's head, then each row, with the line of a silence before it; after the last, the notes."""
    made = [[line.rstrip() for line in lines] for lines in _Drawing(story, shown, max(width, _LEAST)).blocks()]
    return ["".join(f"{line}\n" for line in lines) for lines in made]


class _Drawing:
    """One ladder in the making."""

    def __init__(self, story: Story, shown: Collection[str] | None, width: int) -> None:
        self.story, self.width = story, width
        self.calls = {told.n: told for told in story.calls if shown is None or told.label in shown}
        self.packets = {packet.n: packet for packet in story.packets if shown is None or f"p{packet.n}" in shown}
        self.begun_ns = time_axis.begun(story)
        self.rows = [row for row in rows(story) if shown is None or row.label in shown]
        self.places = Places(story, list(self.packets.values()))
        self.names = [_flat(name) for name in self.places.names]
        self.conversations = Conversations(story)
        self.several = len(self.conversations.all) > 1
        self._take_states()
        self._place_columns()

    def _take_states(self) -> None:
        """What begins at each moment: at the row's, and at the arrival of the row's packet."""
        moments = time_axis.moments(list(self.calls.values()), list(self.packets.values()))
        found = lanes.changes(self.story, moments, self.calls, self.packets, self.conversations, self.places)
        self.laned = sorted({change.conversation for change in found})
        begun: dict[tuple[lanes.Key, int], dict[int, str]] = defaultdict(dict)
        for change in found:
            key = ("p", change.key[1], 0) if change.key[0] == "p" else change.key
            begun[key, change.host][change.conversation] = _flat(change.state)
        self.states = {where: self._state(states) for where, states in begun.items()}

    def _state(self, states: dict[int, str]) -> str:
        """One word; where there are several conversations, also whose: '#2 ESTABLISHED'; of a listening socket, not."""
        number, state = list(states.items())[-1]
        shared = len(states) > 1 and len(set(states.values())) == 1
        return f"#{number} {state}" if self.several and not shared else state

    def _place_columns(self) -> None:
        """Where the lifelines are: between the states of the first host and those of the others."""
        outer = [0, 0]
        for (_, place), state in self.states.items():
            outer[place > 0] = max(outer[place > 0], _cells(state))
        last = len(self.names) - 1
        least = _TIME + 2 * _BAR + 3 + _LEAST_WIRE * last
        self.width = max(self.width, least)
        outer[0] = max(outer[0] + 1, _cells(self.names[0]) // 2 - _BAR)
        outer[1] = max(outer[1] + 1, _cells(self.names[-1]) // 2 - _BAR)
        outer = [min(cells, 1 + (self.width - least) // 2) for cells in outer]
        self.state_cells = outer[0] - 1
        wire = (self.width - _TIME - sum(outer) - 2 * _BAR - 1) // last
        first = _TIME + outer[0] + _BAR
        self.at = [first + wire * place for place in range(last + 1)]

    # ---- the lines

    def blocks(self) -> list[list[str]]:
        """The lines of the head and of each row."""
        going: dict[int, set[int]] = defaultdict(set)
        gaps = [after.at_ns - before.at_ns for before, after in pairwise(self.rows)]
        folded_ns = time_axis.silence(gaps)
        found = [[self._title()]]
        for row, gap in zip(self.rows, [0, *gaps], strict=False):
            silence = self._canvas(going, "┊").put(0, f"nothing for {duration(gap)}").text
            found.append([*([silence] if gap >= folded_ns else []), *self._row(row, going)])
        told = notes(self.story, self._legend(), self.laned)
        told += strokes(list(self.packets.values()))
        found[-1] += [part for note in told for part in fold(_flat(note), self.width).split("\n")]
        return found

    def _legend(self) -> list[Conversation]:
        if not self.several:
            return []
        present = {self.conversations.of_packet.get(n, 0) for n in self.packets}
        return [one for one in self.conversations.all if one.n in present]

    def _title(self) -> str:
        canvas = _Canvas(self.width).put(_TIME - 4, "ms")
        for at, name in zip(self.at, self.names, strict=True):
            canvas.put(max(min(at - _cells(name) // 2, self.width - _cells(name)), _TIME), name)
        return canvas.text

    def _canvas(self, going: dict[int, set[int]], line: str = "│") -> _Canvas:
        """A row of lifelines, and of bars of the calls that go on."""
        canvas = _Canvas(self.width)
        for place, at in enumerate(self.at):
            canvas.put(at, line)
            if going[place]:
                canvas.put(self._bar_at(place), "┃")
        return canvas

    def _bar_at(self, place: int) -> int:
        return self.at[place] + (_BAR if place else -_BAR)

    def _row(self, row: Row, going: dict[int, set[int]]) -> Iterator[str]:
        if row.packet is not None:
            key = ("p", row.packet.n, 0)
            canvas = self._canvas(going)
            self._put_packet(canvas, row.packet)
        else:
            assert row.call is not None
            told = row.call
            end = int(row.at_ns != told.call.entered_ns)
            key = ("c", told.n, end)
            canvas = self._call_row(row, told, end, going)
        canvas.put(0, time_axis.since(row.at_ns - self.begun_ns).removesuffix(" ms").rjust(_TIME - 2))
        more = self._put_states(canvas, [key, ("c", key[1], 1)] if self._is_whole(row) else [key])
        yield canvas.text
        for place, state in more:
            yield self._canvas(going).put(self.at[place] + _BAR, state).text

    def _is_whole(self, row: Row) -> bool:
        return row.call is not None and " = " in row.text and not row.text.startswith("<...")

    def _call_row(self, row: Row, told: CallStory, end: int, going: dict[int, set[int]]) -> _Canvas:
        place = self.places.of_host(told.call.host)
        if end:
            going[place].discard(told.n)
        canvas = self._canvas(going)
        whole = self._is_whole(row)
        marks = "╺┏┗" if place == 0 else "╸┓┛"
        canvas.put(self._bar_at(place), marks[0 if whole else 1 + end])
        about = self.conversations.of_call[told.n]
        mark = f"#{min(about)} " if self.several and len(about) == 1 else ""
        text = mark + _flat(row.text).replace(" <unfinished ...>", " …")
        last = len(self.at) - 1
        if place < last:
            text = _cut_call(text, self.at[place + 1] - self.at[place] - 3)
            canvas.put(self.at[place], "├").put(self.at[place] + 2, text)
        else:
            text = _cut_call(text, self.at[place] - self.at[place - 1] - 3)
            canvas.put(self.at[place], "┤").put(self.at[place] - 1 - _cells(text), text)
        if not whole and not end:
            going[place].add(told.n)
        return canvas

    def _put_packet(self, canvas: _Canvas, packet: Packet) -> None:
        sender, receiver = self.places.ends(packet)
        start, end = self.at[sender], self.at[receiver]
        low, high = min(start, end) + 1, max(start, end)
        stroke = _KERNEL if packet.cause.kind == "kernel" else _CALL
        for place in range(min(sender, receiver) + 1, max(sender, receiver)):
            canvas.put(self.at[place], "┼")
        for x in range(low, high):
            if canvas.cells[x] == " ":
                canvas.put(x, stroke)
        canvas.put(start, "├" if end > start else "┤")
        right = end > start
        if packet.lost:
            middle = (low + high) // 2
            canvas.put(low, " " * (middle - low) if not right else stroke * (middle - low))
            canvas.put(middle, " " * (high - middle) if right else stroke * (high - middle)).put(middle, _LOST)
        else:
            canvas.put(high - 1 if right else low, _HEADS[not right])
        number = self.conversations.of_packet.get(packet.n) if self.several else None
        words = marked(packet_words(packet, self.story), number)
        next_line = self.at[sender + 1] - start if right else start - self.at[sender - 1]
        room = (next_line // 2 if packet.lost else next_line) - 7
        text = _flat(", ".join(line for line, _ in words).replace(LOST, ""))
        text = text if _cells(text) <= room else _cut(_flat(words[0][0].replace(LOST, "")), room)
        canvas.put(start + 3 if right else start - 4 - _cells(text), f" {text} ")

    def _put_states(self, canvas: _Canvas, keys: Sequence[lanes.Key]) -> list[tuple[int, str]]:
        """Writes what begins; what has no room beside a lifeline in the middle is given back."""
        last = len(self.at) - 1
        more = []
        for key in keys:
            for place in range(last + 1):
                state = self.states.get((key, place))
                if state is None:
                    continue
                if place == 0:
                    state = _cut(state, self.state_cells)
                    canvas.put(_TIME, " " * self.state_cells).put(self.at[0] - _BAR - 1 - _cells(state), state)
                elif place == last:
                    x = self.at[last] + _BAR + 2
                    canvas.put(x, " " * max(self.width - x, 0)).put(x, state)
                else:
                    more.append((place, state))
        return more


class _Canvas:
    """One line, written to at any column; what lies beyond its end is not written."""

    def __init__(self, width: int) -> None:
        self.cells = [" "] * width

    def put(self, x: int, text: str) -> _Canvas:
        """Writes there; a wide character takes two columns, one without width goes with the one before it."""
        for character in text:
            wide = wcswidth(character)
            if wide <= 0:
                if 0 < x <= len(self.cells):
                    self.cells[x - 1] += character
                continue
            if x >= 0 and x + wide <= len(self.cells):
                self.cells[x : x + wide] = [character] + [""] * (wide - 1)
            x += wide
        return self

    @property
    def text(self) -> str:
        """What is written."""
        return "".join(self.cells)


def _flat(text: str) -> str:
    """Harmless, and on one line."""
    return terminal(text).replace("\n", "\\n").replace("\t", "\\t")


def _cells(text: str) -> int:
    return max(wcswidth(text), 0)


def _cut(text: str, cells: int) -> str:
    """As much of it as there is room for."""
    if _cells(text) <= cells:
        return text
    while text and _cells(text) >= cells:
        text = text[:-1]
    return f"{text}…" if cells > 0 else ""


def _cut_call(text: str, cells: int) -> str:
    """Of a long call, first its result, then what of the arguments there is room for."""
    before, mark, result = text.rpartition(") = ")
    result = result.partition(" (")[0]
    room = cells - _cells(mark + result)
    if _cells(text) <= cells or not mark or room < 8:
        return _cut(text, cells)
    return _cut(before, room) + mark + result
