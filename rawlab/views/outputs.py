"""What a capture can be made into, by the ending of the file's name: the registry of `rawlab annotate`.

A maker is handed the story and what was chosen, and gives the file's octets; it imports its view itself, so that
nothing is loaded that is not wanted. Writing files is `annotating`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rawlab.model.story import Story

if TYPE_CHECKING:
    from rawlab.views.drawing import Ladder
    from rawlab.views.ladder import Axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted of it."""

    shown: frozenset[str] | None = None
    "the rows ('c5', 'p7') that it is of; None: all"
    axis: Axis = "compressed"
    theme: Literal["light", "dark"] | None = None
    "None: light, and dark where the reader's own setting says so and the format can"
    scale: float = 2.0
    "of a .png: pixels a point"
    width: int = 120
    "of a .txt: columns"
    steps: bool = False
    "what comes about one step at a time: a .pdf's pages, a .tex's overlays"
    name: str = "capture"
    "the output's, without its ending: what a .md calls the picture beside it; '': there is none"
    source: bytes | memoryview = b""
    "the capture's own octets, as they were read"
    side: Literal["client", "server"] = "client"
    "of a .pkt: the host under test"
    hide: tuple[str, ...] = ()
    "of a .html: what a quiz hides of the rows: 'seq', 'ack', 'state', 'cause'"
    seed: int = 0
    "of a quiz: which cells it hides"


Maker = Callable[[Story, Choice], bytes]


def _ladder(story: Story, choice: Choice) -> Ladder:
    from rawlab.views import ladder

    return ladder.layout(story, shown=choice.shown, axis=choice.axis)


def _steps(story: Story, choice: Choice) -> Sequence[Ladder]:
    from rawlab.views import steps

    return steps.steps(_ladder(story, choice))


def _svg(story: Story, choice: Choice) -> bytes:
    from rawlab.views import svg

    return svg.draw(_ladder(story, choice), theme=choice.theme).encode()


def _svg_steps(story: Story, choice: Choice) -> Sequence[bytes]:
    from rawlab.views import svg

    return [svg.draw(ladder, theme=choice.theme).encode() for ladder in _steps(story, choice)]


def _png(story: Story, choice: Choice) -> bytes:
    from rawlab.views import picture

    return picture.png(_ladder(story, choice), theme=choice.theme, scale=choice.scale)


def _png_steps(story: Story, choice: Choice) -> Sequence[bytes]:
    from rawlab.views import picture

    return picture.pngs(_steps(story, choice), theme=choice.theme, scale=choice.scale)


def _pdf(story: Story, choice: Choice) -> bytes:
    from rawlab.views import picture

    ladders = _steps(story, choice) if choice.steps else [_ladder(story, choice)]
    return picture.pdf(ladders, theme=choice.theme)


def _tex(story: Story, choice: Choice) -> bytes:
    from rawlab.views import tikz

    return tikz.draw(_ladder(story, choice), steps=_steps(story, choice) if choice.steps else None).encode()


def _txt(story: Story, choice: Choice) -> bytes:
    from rawlab.views import unicode_ladder

    return unicode_ladder.draw(story, shown=choice.shown, width=choice.width).encode()


def _mmd(story: Story, choice: Choice) -> bytes:
    from rawlab.views import mermaid

    return mermaid.draw(story, shown=choice.shown).encode()


def _csv(story: Story, choice: Choice) -> bytes:
    from rawlab.views import spreadsheet

    return spreadsheet.render(story, shown=choice.shown).encode()


def _md(story: Story, choice: Choice) -> bytes:
    from rawlab.views import markdown_file

    picture = f"{choice.name}.svg" if choice.name else ""
    return markdown_file.render(story, shown=choice.shown, picture=picture).encode()


def _json(story: Story, choice: Choice) -> bytes:
    from rawlab.views import story_json

    return f"{story_json.render(story, shown=choice.shown)}\n".encode()


def _pkt(story: Story, choice: Choice) -> bytes:
    from rawlab.views import packetdrill

    return packetdrill.render(story, side=choice.side, shown=choice.shown).encode()


def _pcapng(story: Story, choice: Choice) -> bytes:
    from rawlab.views import commented

    return commented.render(story, choice.source, shown=choice.shown)


def _html(story: Story, choice: Choice) -> bytes:
    from rawlab.views import page
    from rawlab.views.page import exam

    if choice.hide:
        return exam.render(story, choice.hide, choice.seed, shown=choice.shown, theme=choice.theme).encode()
    return page.render(story, shown=choice.shown, axis=choice.axis, theme=choice.theme).encode()


OUTPUTS: dict[str, Maker] = {
    ".html": _html,
    ".svg": _svg,
    ".csv": _csv,
    ".json": _json,
    ".md": _md,
    ".pcapng": _pcapng,
    ".pkt": _pkt,
    ".png": _png,
    ".pdf": _pdf,
    ".tex": _tex,
    ".txt": _txt,
    ".mmd": _mmd,
}

STEPS: dict[str, Callable[[Story, Choice], Sequence[bytes]]] = {".svg": _svg_steps, ".png": _png_steps}
"""Those of which --steps makes a file a step."""

STEPPED = frozenset((".pdf", ".tex"))
"""Those that `Choice.steps` makes into a file of steps."""

BESIDE: dict[str, str] = {".md": ".svg"}
"""What refers to a file beside it, of the same name, and that file's ending."""

TEXTS = frozenset((".svg", ".txt", ".mmd", ".tex", ".html", ".csv", ".md", ".json", ".pkt"))
"""What a terminal may show."""
