"""The ladder as SVG: one file, no script, light and dark by the reader's own setting.

Every part bears the row that it is of, so that a page can find it: `data-row="p5"` on a packet's group, `data-row="c6"`
on a call's, `data-call` and `data-packet` on what ties the two.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator

from rawlab.model.story import Story
from rawlab.views.drawing import Arrow, Bar, Fold, Label, Ladder, Leader, Lifeline, Span, Tick, Tie
from rawlab.views.escape import terminal
from rawlab.views.ladder import Axis, layout

# Okabe and Ito's colours, told apart by the colour-blind; each state's name stands within.
_ORANGE, _SKY, _GREEN, _BLUE, _RED, _PINK = "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"
STATES = {
    "LISTEN": _SKY,
    "SYN-SENT": _ORANGE,
    "SYN-RECEIVED": _ORANGE,
    "ESTABLISHED": _GREEN,
    "FIN-WAIT-1": _PINK,
    "FIN-WAIT-2": _PINK,
    "CLOSE-WAIT": _RED,
    "CLOSING": _PINK,
    "LAST-ACK": _RED,
    "TIME-WAIT": _BLUE,
    "COOKIE-WAIT": _ORANGE,
    "COOKIE-ECHOED": _ORANGE,
    "SHUTDOWN-PENDING": _PINK,
    "SHUTDOWN-SENT": _PINK,
    "SHUTDOWN-RECEIVED": _RED,
    "SHUTDOWN-ACK-SENT": _RED,
}
CLOSED = "#999999"
GROUNDS = {"light": "#ffffff", "dark": "#121212"}
_STYLE = """
 .ground { fill: #ffffff } text, .head { fill: #1b1b1b } .line { stroke: #1b1b1b; fill: none }
 text { font-family: "DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace; white-space: pre }
 .title { font-weight: bold } .tick, .fold text { fill: #5c5c5c } .more, .note { fill: #4a4a4a }
 .life { stroke-width: 2.5 } .packet .line { stroke-width: 2 } .kernel .line { stroke-dasharray: 7 4 }
 .packet .cross { stroke-dasharray: none }
 .bar { fill: #6b6b6b } .open { fill: none; stroke: #6b6b6b; stroke-width: 2; stroke-dasharray: 3 3 }
 .tie { stroke: #8a8a8a; stroke-width: 1.2; fill: none } .waited { stroke-dasharray: 2 3 }
 .leader { stroke: #8a8a8a; stroke-width: .8; fill: none } .fold path { stroke: #8a8a8a; fill: none }
 .packet text { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round }
 .wash { fill-opacity: .3 }
"""
_DARK = """
 .ground { fill: #121212 } text, .head { fill: #eeeeee } .line { stroke: #eeeeee }
 .tick, .fold text { fill: #a8a8a8 } .more, .note { fill: #c0c0c0 }
 .bar { fill: #a0a0a0 } .open { stroke: #a0a0a0 } .wash { fill-opacity: .45 } .packet text { stroke: #121212 }
"""


def render(story: Story, *, shown: Collection[str] | None = None, axis: Axis = "compressed") -> str:
    """The story's ladder as an SVG document; `shown` and `axis` as `ladder.layout` has them."""
    return draw(layout(story, shown=shown, axis=axis))


def draw(ladder: Ladder, *, theme: str | None = None, whole: bool = True) -> str:
    """An SVG document; `theme`: 'light' or 'dark' for good; `whole`: with its own style, else the page has that."""
    size = f'width="{ladder.width:.0f}" height="{ladder.height:.0f}"'
    box = f'viewBox="0 0 {ladder.width:.0f} {ladder.height:.0f}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" {size} {box} role="img">',
            f"<title>{_text(ladder.title)}</title>",
            *([f"<style>{style(theme)}</style>"] if whole else []),
            '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="9" refY="4" orient="auto">'
            '<path class="head" d="M0 0 9 4 0 8z"/></marker></defs>',
            '<rect class="ground" width="100%" height="100%"/>',
            *_parts(ladder),
            "</svg>",
        )
    )


def style(theme: str | None = None) -> str:
    """The style sheet of a drawing."""
    themes = {"light": _STYLE, "dark": _STYLE + _DARK}
    return themes.get(theme or "", f"{_STYLE} @media (prefers-color-scheme: dark) {{{_DARK}}}\n")


def _parts(ladder: Ladder) -> Iterator[str]:
    """Behind first: what stands later lies above."""
    for span in ladder.spans:
        yield from _span(span)
    for fold in ladder.folds:
        yield from _fold(fold, ladder.width)
    for line in ladder.lifelines:
        yield from _lifeline(line)
    for tick in ladder.ticks:
        yield from _tick(tick)
    for leader in ladder.leaders:
        yield _leader(leader)
    for tie in ladder.ties:
        yield _tie(tie)
    for bar in ladder.bars:
        yield from _bar(bar)
    for arrow in ladder.arrows:
        yield from _arrow(arrow)
    for label in ladder.heads:
        yield _label(label, "head")
    for label in ladder.notes:
        yield _label(label, "note")
    for label in ladder.sentence:
        yield _label(label)


def _text(text: str) -> str:
    return html.escape(terminal(text))


def _label(label: Label, kind: str = "") -> str:
    classes = f' class="{kind}"' if kind else ""
    anchor = "" if label.anchor == "start" else f' text-anchor="{label.anchor}"'
    place = f'x="{label.x:.1f}" y="{label.y:.1f}" font-size="{label.size:g}"'
    return f"<text{classes} {place}{anchor}>{_text(label.text)}</text>"


def _lifeline(line: Lifeline) -> Iterator[str]:
    yield _label(line.title, "title")
    yield f'<path class="line life" d="M{line.x:.1f} {line.top:.1f}V{line.bottom:.1f}"/>'


def _span(span: Span) -> Iterator[str]:
    """A strip beside the lifeline: the state's colour, and its name."""
    colour = STATES.get(span.state, CLOSED)
    high = span.y2 - span.y1
    place = f'x="{span.x:.1f}" y="{span.y1:.1f}" width="{span.width:.1f}" height="{high:.1f}"'
    edge = f'x="{span.x:.1f}" y="{span.y1:.1f}" width="{span.width:.1f}" height="2"'
    yield f'<g class="state" data-state="{_text(span.state)}" data-host="{span.host}">'
    yield f'<rect class="wash" {place} fill="{colour}"/>'
    yield f'<rect {edge} fill="{colour}"/>'
    if span.label is not None:
        yield _label(span.label)
    yield "</g>"


def _fold(fold: Fold, width: float) -> Iterator[str]:
    """Two lines right across, and how much time is left out between them."""
    begin = fold.label.box.right + 12
    yield '<g class="fold">'
    for y in (fold.y1 + 4, fold.y2 - 4):
        yield f'<path d="M{begin:.1f} {y:.1f}H{width - 20:.1f}"/>'
    yield f"{_label(fold.label)}</g>"


def _tick(tick: Tick) -> Iterator[str]:
    yield _label(tick.label, "tick")


def _leader(leader: Leader) -> str:
    return f'<path class="leader" d="M{leader.x1:.1f} {leader.y1:.1f}L{leader.x2:.1f} {leader.y2:.1f}"/>'


def _tie(tie: Tie) -> str:
    ends = f"M{tie.x1:.1f} {tie.y1:.1f}L{tie.x2:.1f} {tie.y2:.1f}"
    return f'<path class="tie {tie.kind}" data-call="{tie.call}" data-packet="{tie.packet}" d="{ends}"/>'


def _bar(bar: Bar) -> Iterator[str]:
    """A call: a bar beyond the lane as long as it blocked, its words outside."""
    kind = "bar" if bar.returned else "open"
    place = f'x="{bar.x - 3:.1f}" y="{bar.y1:.1f}" width="6" height="{bar.y2 - bar.y1:.1f}" rx="1.5"'
    yield f'<g class="call" data-row="{bar.row}"><rect class="{kind}" {place}/>{_label(bar.label)}</g>'


def _arrow(arrow: Arrow) -> Iterator[str]:
    """A packet, slanted from its departure to its arrival; a lost one breaks off in a cross."""
    kind = "packet kernel" if arrow.by_kernel else "packet"
    ends = f"M{arrow.x1:.1f} {arrow.y1:.1f}L{arrow.x2:.1f} {arrow.y2:.1f}"
    yield f'<g class="{kind}" data-row="{arrow.row}">'
    if arrow.lost:
        x, y = arrow.x2, arrow.y2
        cross = f"M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12"
        yield f'<path class="line" d="{ends}"/><path class="line cross" d="{cross}"/>'
    else:
        yield f'<path class="line" marker-end="url(#head)" d="{ends}"/>'
    for number, label in enumerate(arrow.labels):
        yield _label(label, "more" if number else "")
    yield "</g>"
