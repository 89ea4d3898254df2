"""The ladder in TikZ: a file that LaTeX compiles by itself, and that a beamer frame takes in with \\input.

One step at a time, what appears later stands in overlays: \\only<3->{…}; all overlays are of one size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rawlab.errors import UsageError
from rawlab.views.drawing import Arrow, Bar, Fold, Label, Ladder, Leader, Lifeline, Span, Tick, Tie
from rawlab.views.escape import typewriter
from rawlab.views.svg import CLOSED, STATES

_POINT = 0.75  # a big point, of which an inch has 72, for our 96
_LONGEST = 16_000  # big points: TeX's own limit is 16,383 of its points
_BORDER = 12  # big points
_ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}

_ALONE = r"""%% In a beamer frame: \usepackage{tikz,standalone} and \usepackage[T1]{fontenc} in the preamble, then
%%   \begin{frame} \resizebox{!}{.9\textheight}{\input{this file}} \end{frame}
\documentclass[%sborder=2mm]{standalone}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern}
\usepackage{tikz}%s
\begin{document}%s
\begin{tikzpicture}[x=.75bp, y=-.75bp, line width=.75bp,
  word/.style={inner sep=0pt},
  life/.style={line width=1.9bp}, packet/.style={line width=1.5bp, -latex}, kernel/.style={dash pattern=on 5bp off 3bp},
  lost/.style={line width=1.5bp, -}, tie/.style={gray}, waited/.style={dash pattern=on 1.5bp off 2bp},
  bar/.style={fill=gray!70!black}, open/.style={draw=gray!70!black, dash pattern=on 2bp off 2bp, line width=1.5bp}]
%s
%s
\end{tikzpicture}%s
\end{document}
"""
# Where it is compiled by itself, a page is as large as the picture.
_PAPER = r"""
\geometry{paperwidth=%.0fbp, paperheight=%.0fbp, margin=%gbp}
\setbeamertemplate{navigation symbols}{}"""


def draw(ladder: Ladder, *, steps: Sequence[Ladder] | None = None) -> str:
    """The LaTeX file; with `steps`, its overlays. Raises UsageError where TeX can't hold anything so long."""
    size = max(ladder.width, *(one.height for one in (ladder, *(steps or ()))))
    if size * _POINT > _LONGEST:
        raise UsageError(
            f"a .tex {size * _POINT / 72:.0f} inches long is too long for TeX; choose a part of it with --rows"
        )
    body = list(_overlaid(steps)) if steps else [line for make in _MAKERS for line in make(ladder)]
    head = [_bounds(steps[0] if steps else ladder), *_colours(ladder)]
    if not steps:
        return _ALONE % ("", "", "", "\n".join(head), "\n".join(body), "")
    paper = _PAPER % (ladder.width * _POINT + 2 * _BORDER, steps[0].height * _POINT + 2 * _BORDER, _BORDER)
    begin, end = "\n\\begin{standaloneframe}", "\n\\end{standaloneframe}"
    return _ALONE % ("beamer,", paper, begin, "\n".join(head), "\n".join(body), end)


def _overlaid(steps: Sequence[Ladder]) -> Iterator[str]:
    """Each line of any step, in the overlays of those steps that have it."""
    for make in _MAKERS:
        found: dict[str, list[int]] = {}
        for number, ladder in enumerate(steps, 1):
            for line in dict.fromkeys(make(ladder)):
                found.setdefault(line, []).append(number)
        for line, numbers in found.items():
            yield line if len(numbers) == len(steps) else rf"\only<{_ranges(numbers, len(steps))}>{{{line}}}"


def _ranges(numbers: Sequence[int], last: int) -> str:
    """'3-5,7-': beamer's words for those numbers."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{low}-" if high == last else f"{low}-{high}" for low, high in parts)


# ---- the parts, from behind


def _bounds(ladder: Ladder) -> str:
    return rf"\path[use as bounding box] (0,0) rectangle ({ladder.width:.0f},{ladder.height:.0f});"


def _colours(ladder: Ladder) -> Iterator[str]:
    for state in dict.fromkeys(span.state for span in ladder.spans):
        yield rf"\definecolor{{{_name(state)}}}{{HTML}}{{{STATES.get(state, CLOSED)[1:].upper()}}}"


def _name(state: str) -> str:
    """A colour's name: a state that no RFC knows has that of CLOSED, letters alone."""
    return f"state{state.replace('-', '').lower()}" if state in STATES else "stateother"


def _label(label: Label, more: str = "") -> str:
    size = f"{label.size * _POINT:g}"
    font = rf"font=\frenchspacing\ttfamily\fontsize{{{size}}}{{{size}}}\selectfont{more}"
    at = f"({label.x:.1f},{label.y:.1f})"
    return rf"\node[word, anchor={_ANCHORS[label.anchor]}, {font}] at {at} {{{typewriter(label.text)}}};"


def _span(span: Span) -> Iterator[str]:
    colour, right = _name(span.state), span.x + span.width
    yield rf"\fill[{colour}!30] ({span.x:.1f},{span.y1:.1f}) rectangle ({right:.1f},{span.y2:.1f});"
    yield rf"\draw[{colour}, line width=1.5bp] ({span.x:.1f},{span.y1 + 1:.1f}) -- ({right:.1f},{span.y1 + 1:.1f});"


def _fold(fold: Fold, width: float) -> Iterator[str]:
    begin = fold.label.box.right + 12
    for y in (fold.y1 + 4, fold.y2 - 4):
        yield rf"\draw[gray] ({begin:.1f},{y:.1f}) -- ({width - 20:.1f},{y:.1f});"
    yield _label(fold.label, r"\color{darkgray}")


def _lifeline(line: Lifeline) -> Iterator[str]:
    yield _label(line.title, r"\bfseries")
    yield rf"\draw[life] ({line.x:.1f},{line.top:.1f}) -- ({line.x:.1f},{line.bottom:.1f});"


def _tick(tick: Tick) -> str:
    return _label(tick.label, r"\color{darkgray}")


def _leader(leader: Leader) -> str:
    return rf"\draw[gray, line width=.6bp] ({leader.x1:.1f},{leader.y1:.1f}) -- ({leader.x2:.1f},{leader.y2:.1f});"


def _tie(tie: Tie) -> str:
    kind = "tie, waited" if tie.kind == "waited" else "tie"
    return rf"\draw[{kind}] ({tie.x1:.1f},{tie.y1:.1f}) -- ({tie.x2:.1f},{tie.y2:.1f});"


def _bar(bar: Bar) -> Iterator[str]:
    ends = f"({bar.x - 3:.1f},{bar.y1:.1f}) rectangle ({bar.x + 3:.1f},{bar.y2:.1f})"
    yield rf"\path[{'bar' if bar.returned else 'open'}] {ends};"
    yield _label(bar.label)


def _arrow(arrow: Arrow) -> Iterator[str]:
    kind = ("lost" if arrow.lost else "packet") + (", kernel" if arrow.by_kernel else "")
    x, y = arrow.x2, arrow.y2
    yield rf"\draw[{kind}] ({arrow.x1:.1f},{arrow.y1:.1f}) -- ({x:.1f},{y:.1f});"
    if arrow.lost:
        yield rf"\draw[lost] ({x - 6:.1f},{y - 6:.1f}) -- ({x + 6:.1f},{y + 6:.1f});"
        yield rf"\draw[lost] ({x + 6:.1f},{y - 6:.1f}) -- ({x - 6:.1f},{y + 6:.1f});"
    for number, label in enumerate(arrow.labels):
        yield _label(label, r"\color{darkgray}" if number else "")


_MAKERS: tuple[Callable[[Ladder], Iterator[str]], ...] = (
    lambda ladder: (line for span in ladder.spans for line in _span(span)),
    lambda ladder: (_label(span.label) for span in ladder.spans if span.label is not None),
    lambda ladder: (line for fold in ladder.folds for line in _fold(fold, ladder.width)),
    lambda ladder: (line for life in ladder.lifelines for line in _lifeline(life)),
    lambda ladder: (_tick(tick) for tick in ladder.ticks),
    lambda ladder: (_leader(leader) for leader in ladder.leaders),
    lambda ladder: (_tie(tie) for tie in ladder.ties),
    lambda ladder: (line for bar in ladder.bars for line in _bar(bar)),
    lambda ladder: (line for arrow in ladder.arrows for line in _arrow(arrow)),
    lambda ladder: (_label(label) for label in (*ladder.heads, *ladder.notes, *ladder.sentence)),
)
