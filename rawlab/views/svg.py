"""The ladder as SVG: one file, no script, light and dark by the reader's own setting."""

from __future__ import annotations

import html
from collections.abc import Iterator

from rawlab.model.story import Story
from rawlab.views.escape import terminal
from rawlab.views.ladder import Arrow, Bar, Ladder, Span, layout

_LINE = 24  # from one moment to the next
_TOP = 64
_CALLS = 400  # room for a side's calls
_WIRE = 520
_LANE = 10
_LIFELINES = (_CALLS, _CALLS + _WIRE)
_ABOVE = 11  # a packet's words stand over the middle of its slanted arrow
_LETTERS = 52  # of a call's label at the most

# Okabe and Ito's colours, told apart by the colour-blind; each state's name stands beside it.
_STATES = {
    "LISTEN": "#56b4e9",
    "SYN-SENT": "#e69f00",
    "SYN-RECEIVED": "#e69f00",
    "ESTABLISHED": "#009e73",
    "FIN-WAIT-1": "#cc79a7",
    "FIN-WAIT-2": "#cc79a7",
    "CLOSE-WAIT": "#d55e00",
    "CLOSING": "#cc79a7",
    "LAST-ACK": "#d55e00",
    "TIME-WAIT": "#0072b2",
    "COOKIE-WAIT": "#e69f00",
    "COOKIE-ECHOED": "#e69f00",
    "SHUTDOWN-PENDING": "#cc79a7",
    "SHUTDOWN-SENT": "#cc79a7",
    "SHUTDOWN-RECEIVED": "#d55e00",
    "SHUTDOWN-ACK-SENT": "#d55e00",
}
_CLOSED = "#999999"
_STYLE = """
 .ground { fill: #ffffff } text, .head { fill: #1b1b1b } .line { stroke: #1b1b1b }
 text { font: 13px ui-monospace, Menlo, Consolas, monospace }
 .title { font: bold 17px system-ui, sans-serif } .state { font-size: 11px }
 .life { stroke-width: 2 } .packet { stroke-width: 1.6 } .kernel { stroke-dasharray: 6 3 } .bar { fill: #888888 }
 @media (prefers-color-scheme: dark) {
  .ground { fill: #121212 } text, .head { fill: #eeeeee } .line { stroke: #eeeeee } }
"""


def render(story: Story) -> str:
    """The story's ladder as an SVG document."""
    ladder = layout(story)
    height = _TOP + _LINE * (ladder.moments + 1)
    width = 2 * _CALLS + _WIRE
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    title = f"{story.timeline.run.lab or 'capture'}: calls and packets of {' and '.join(ladder.hosts)}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{_text(title)}</title>",
            f"<style>{_STYLE}</style>",
            '<marker id="head" markerWidth="9" markerHeight="8" refX="9" refY="4" orient="auto">'
            '<path class="head" d="M0 0 9 4 0 8z"/></marker>',
            '<rect class="ground" width="100%" height="100%"/>',
            *_parts(ladder),
            "</svg>",
        )
    )


def _parts(ladder: Ladder) -> Iterator[str]:
    for side, host in enumerate(ladder.hosts):
        x = _LIFELINES[side]
        yield f'<text class="title" x="{x}" y="30" text-anchor="middle">{_text(host)}</text>'
        yield f'<path class="line life" d="M{x} {_TOP - 20}V{_y(ladder.moments)}"/>'
    for span in ladder.spans:
        yield from _span(span)
    for bar in ladder.bars:
        yield from _bar(bar)
    for arrow in ladder.arrows:
        yield from _arrow(arrow)


def _y(moment: int) -> int:
    return _TOP + _LINE * moment


def _text(text: str) -> str:
    return html.escape(terminal(text))


def _outwards(side: int) -> int:
    return 1 if side else -1


def _span(span: Span) -> Iterator[str]:
    """A strip beside the lifeline, and the state's name within, at its beginning."""
    x = _LIFELINES[span.side] + (1 if span.side else -_LANE - 1)
    height = max(_y(span.last) - _y(span.first), 2)
    colour = _STATES.get(span.state, _CLOSED)
    yield f'<rect x="{x}" y="{_y(span.first)}" width="{_LANE}" height="{height}" fill="{colour}"/>'
    inside = _LIFELINES[span.side] - 8 * _outwards(span.side)
    anchor = "end" if span.side else "start"
    yield f'<text class="state" x="{inside}" y="{_y(span.first) - 4}" text-anchor="{anchor}">{span.state}</text>'


def _bar(bar: Bar) -> Iterator[str]:
    """A call: a bar beyond the lane as long as it blocked, its words outside."""
    near = _LIFELINES[bar.side] + _outwards(bar.side) * (_LANE + 5)
    height = max(_y(bar.last) - _y(bar.first), 4)
    yield f'<rect class="bar" x="{near - 2}" y="{_y(bar.first)}" width="4" height="{height}"/>'
    label = bar.label if len(bar.label) <= _LETTERS else f"{bar.label[: _LETTERS - 1]}…"
    anchor = "start" if bar.side else "end"
    x = near + 8 * _outwards(bar.side)
    yield f'<text x="{x}" y="{_y(bar.first) + 5}" text-anchor="{anchor}">{_text(label)}</text>'


def _arrow(arrow: Arrow) -> Iterator[str]:
    """A packet, slanted from its departure to its arrival; a lost one ends half-way in a cross."""
    start, end = _LIFELINES[arrow.side], _LIFELINES[1 - arrow.side]
    top, bottom = _y(arrow.first), _y(arrow.last)
    middle = (start + end) // 2
    kind = "line packet" if arrow.by_call else "line packet kernel"
    if arrow.lost:
        yield f'<path class="{kind}" d="M{start} {top}L{middle} {top}"/>'
        yield f'<text x="{middle}" y="{top + 5}" text-anchor="middle">✕</text>'
    else:
        yield f'<path class="{kind}" marker-end="url(#head)" d="M{start} {top}L{end} {bottom}"/>'
    words = f"{arrow.label} — lost" if arrow.lost else arrow.label
    yield f'<text x="{middle}" y="{(top + bottom) // 2 - _ABOVE}" text-anchor="middle">{_text(words)}</text>'
