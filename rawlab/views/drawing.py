"""What a ladder is made of: lifelines, packets, calls, states and words, in points on a plane.

`layout` makes one of a story; what draws them (`svg`, `tikz`, `text`, …) is a file for each ink. x grows to the right,
y downwards (later); a point is a 96th of an inch where an ink has inches. Words are set in a font whose characters all
have one width, so that where they end is known here, and no two overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wcwidth import wcswidth

ADVANCE = 0.602
"a character's width in such a font, of its size (DejaVu Sans Mono, Menlo, Consolas: 0.55 to 0.602)"
ASCENT, DESCENT = 0.8, 0.25
"how far words reach above and below their baseline, of their size"

Anchor = Literal["start", "middle", "end"]
Confidence = Literal["exact", "inferred", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A line of words."""

    text: str
    x: float
    y: float
    "of the baseline"
    size: float
    anchor: Anchor = "start"

    @property
    def box(self) -> Box:
        """What it covers."""
        long = width(self.text, self.size)
        left = self.x - {"start": 0, "middle": long / 2, "end": long}[self.anchor]
        return Box(left=left, top=self.y - ASCENT * self.size, right=left + long, bottom=self.y + DESCENT * self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifeline:
    """A host, from the first moment to the last."""

    host: str
    x: float
    top: float
    bottom: float
    title: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A packet, from where and when it left to where and when it arrived; a lost one ends on the way."""

    row: str
    "'p5'"
    sender: int
    "its host's place, from 0"
    receiver: int
    x1: float
    y1: float
    x2: float
    y2: float
    lost: bool
    by_kernel: bool
    "a kernel sent it by itself, not for a call"
    confidence: Confidence
    labels: tuple[Label, ...]
    "few words, then, smaller, more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A call, from its entry to its return."""

    row: str
    "'c5'"
    host: int
    x: float
    y1: float
    y2: float
    returned: bool
    "else it had not when the capture ended"
    label: Label
    entry: str
    "what its label said before it had returned: no longer than the label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Between a call's bar and the lifeline: what it sent, or what it waited for."""

    call: str
    packet: str
    kind: Literal["sent", "waited"]
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A host's state in one conversation, from the moment that brought it to the one that ended it."""

    state: str
    host: int
    conversation: int
    "its number, from 1; 0 where the story has none"
    x: float
    y1: float
    y2: float
    width: float
    label: Label | None
    "None where the one above has no room for it: it lasts no longer than a word is high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Time left out: nothing happened for so long."""

    y1: float
    y2: float
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A moment's time since the first."""

    y: float
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """From a moment to its words, where those had to wait for room."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is told next, and where it is seen."""

    row: str
    "'c5' or 'p5'"
    y: float
    text: str
    "the call or packet in words"
    why: str
    "one sentence"
    notes: tuple[str, ...] = ()
    "the lecturer's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The whole drawing."""

    title: str
    width: float
    height: float
    lifelines: tuple[Lifeline, ...]
    arrows: tuple[Arrow, ...]
    bars: tuple[Bar, ...]
    ties: tuple[Tie, ...]
    spans: tuple[Span, ...]
    folds: tuple[Fold, ...]
    ticks: tuple[Tick, ...]
    leaders: tuple[Leader, ...]
    steps: tuple[Step, ...]
    heads: tuple[Label, ...] = ()
    "above the lanes: whose they are, where there are several conversations"
    notes: tuple[Label, ...] = ()
    "below: what must be said of the whole"
    sentence: tuple[Label, ...] = ()
    "below: what is told of one step"

    @property
    def labels(self) -> list[Label]:
        """All its words."""
        found = [line.title for line in self.lifelines]
        found += [label for arrow in self.arrows for label in arrow.labels]
        found += [bar.label for bar in self.bars]
        found += [span.label for span in self.spans if span.label is not None]
        found += [fold.label for fold in self.folds]
        return [*found, *(tick.label for tick in self.ticks), *self.heads, *self.notes, *self.sentence]


def width(text: str, size: float) -> float:
    """How wide a line of words is."""
    cells = wcswidth(text)
    return (cells if cells >= 0 else len(text)) * size * ADVANCE
