"""A ladder one step at a time: what has happened so far, and below it the step in words and why.

All are of one size, so that slides made of them do not jump. A call that has not returned is open, and its words do not
yet say what it will return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from rawlab.views.captions import WORDS
from rawlab.views.drawing import ADVANCE, Bar, Label, Ladder, Span, Step
from rawlab.views.escape import terminal
from rawlab.views.folding import fold

_MARGIN = 20.0
_LINE = WORDS * 1.4
_AIR = 8.0
_LEAST_BAR, _LEAST_SPAN = 8.0, 18.0


def steps(ladder: Ladder) -> list[Ladder]:
    """The ladder after each of its steps."""
    told = [_sentence(ladder, number) for number in range(1, len(ladder.steps) + 1)]
    height = ladder.height + _AIR + _LINE * max(map(len, told), default=0)
    return [
        replace(_so_far(ladder, number), height=height, sentence=tuple(_lines(ladder, lines)))
        for number, lines in enumerate(told, 1)
    ]


def _so_far(ladder: Ladder, number: int) -> Ladder:
    seen = Counter(step.row for step in ladder.steps[:number])
    missing = Counter(step.row for step in ladder.steps[number:])
    now = ladder.steps[number - 1].y
    arrows = [arrow for arrow in ladder.arrows if arrow.row in seen]
    whole = [bar for bar in ladder.bars if bar.row in seen and not missing[bar.row]]
    ends = {arrow.y2 for arrow in arrows} | {bar.y2 for bar in whole}
    return replace(
        ladder,
        arrows=tuple(arrows),
        bars=tuple(_bar(bar, now, returned=not missing[bar.row]) for bar in ladder.bars if bar.row in seen),
        ties=tuple(tie for tie in ladder.ties if tie.call in seen and tie.packet in seen),
        spans=tuple(_spans(ladder.spans, now, ends)),
        folds=tuple(fold for fold in ladder.folds if fold.y1 < now),
        ticks=tuple(tick for tick in ladder.ticks if tick.y <= now),
        leaders=tuple(leader for leader in ladder.leaders if leader.y1 <= now),
    )


def _bar(bar: Bar, now: float, *, returned: bool) -> Bar:
    if returned:
        return bar
    label = replace(bar.label, text=bar.entry)
    return replace(bar, y2=max(now, bar.y1 + _LEAST_BAR), returned=False, label=label)


def _spans(spans: Sequence[Span], now: float, ends: Collection[float]) -> Iterator[Span]:
    """Those that have begun; the last of each lane as long as it has lasted."""
    begun = [span for span in spans if span.y1 <= now or span.y1 in ends]
    latest = {(span.host, span.conversation): span for span in begun}
    for span in begun:
        if latest[span.host, span.conversation] is span:
            yield replace(span, y2=min(span.y2, max(now, span.y1 + _LEAST_SPAN)))
        else:
            yield span


def _sentence(ladder: Ladder, number: int) -> list[str]:
    step: Step = ladder.steps[number - 1]
    cells = int((ladder.width - 2 * _MARGIN) / (WORDS * ADVANCE))
    lines = [f"{number}/{len(ladder.steps)}  {step.row}  {terminal(step.text)}"]
    if step.why:
        lines.append(terminal(step.why))
    lines += [terminal(f"note: {' '.join(note.split())}") for note in step.notes]
    return [part for line in lines for part in fold(line, cells).split("\n")]


def _lines(ladder: Ladder, lines: Sequence[str]) -> Iterator[Label]:
    for number, line in enumerate(lines):
        yield Label(text=line, x=_MARGIN, y=ladder.height + _AIR + number * _LINE, size=WORDS)
