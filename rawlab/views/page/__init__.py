"""The page: one HTML file that works offline, to step through a story, and look at each packet's octets and each call.

    head.html, shell.html   what stands where           diagram, ladder (`svg`)   pictures, drawn here
    page.css     how it looks                markup                    the table of rows
    *.js         what it does                data, numbers             what the scripts know, as JSON

Its Content-Security-Policy allows this one style and this one script, by their hashes, and nothing else: no request, no
handler in an attribute, no word of a packet that becomes a script. Without scripts it is a document: ladder and table.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections import Counter
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from rawlab.errors import UsageError
from rawlab.model.story import Story
from rawlab.views import svg
from rawlab.views.counting import count
from rawlab.views.drawing import Ladder
from rawlab.views.escape import terminal
from rawlab.views.ladder import Axis, layout
from rawlab.views.page import data, diagram, markup
from rawlab.views.rows import hosts
from rawlab.views.summary import summary

_SCRIPTS = ("base.js", "ladder.js", "details.js", "plot.js", "find.js", "steps.js")
MOST = 20_000
"rows of a page: more, and no browser is quick with it"
_HEAD = 52.0
"how much of the ladder's top is its hosts' names, which stay in sight"


def render(
    story: Story, *, shown: Collection[str] | None = None, axis: Axis = "compressed", theme: str | None = None
) -> str:
    """The page; `shown` and `axis` as `ladder.layout` has them; `theme`: 'light' or 'dark' to begin with.

    Raises UsageError for more than MOST rows.
    """
    told = markup.lines(story, shown)
    if len(told) > MOST:
        raise UsageError(f"{len(told)} rows are too many for a page, {MOST} at the most: choose a part of them")
    ladder = layout(story, shown=shown, axis=axis)
    labels = {line.label for line in told}
    known = data.value(story, labels) | _steps(ladder) | {"ms": _times(told)}
    protocols = sorted({line.protocol for line in told if line.protocol})
    flags = dict.fromkeys(flag for line in told for flag in line.flags)
    picture = diagram.render(story)
    return assemble(
        "shell.html",
        _SCRIPTS,
        title=terminal(ladder.title),
        theme=theme,
        known=known,
        summary=html.escape(terminal(_summary(story, labels))),
        heads=_heads(ladder),
        ladder=svg.draw(ladder, whole=False),
        table=markup.table(story, told),
        diagram=picture or "<p>Neither TCP nor SCTP: nothing here has states.</p>",
        hosts="".join(markup.options(terminal(host) for host in hosts(story))),
        protocols="".join(markup.options(protocols)),
        flags="".join(markup.options(flags)),
    )


def assemble(shell: str, scripts: Collection[str], *, title: str, theme: str | None, known: Any, **parts: str) -> str:
    """A page of that shell, its style and scripts inlined and their hashes in its policy; `parts` are HTML."""
    style = "\n".join((file("page.css"), svg.style("light"), *_dark()))
    script = '"use strict";\n' + "\n".join(map(file, scripts))
    return Template(file("head.html") + file(shell)).substitute(
        parts,
        title=html.escape(title),
        theme=f' data-theme="{theme}"' if theme else "",
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        known=_inert(known),
    )


def _summary(story: Story, labels: Collection[str]) -> str:
    """How much was seen, how much of it stands here, and whether the file is whole."""
    said = summary(story)
    calls = sum(told.label in labels for told in story.calls)
    if calls + sum(f"p{packet.n}" in labels for packet in story.packets) < len(story.calls) + len(story.packets):
        said += f"; a part of them is shown: {count(calls, 'call')}, {count(len(labels) - calls, 'packet')}"
    if story.timeline.damaged_at is not None:
        said += f"; the file is damaged at byte {story.timeline.damaged_at}: what stood behind is missing"
    elif not story.timeline.complete:
        said += "; the run was cut off: what was lost was not counted"
    return said


def _dark() -> tuple[str, str]:
    """The ladder's dark colours, where the reader's system says so, or the page's own switch."""
    dark = svg.style("dark").removeprefix(svg.style("light"))
    return (
        f'@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}',
        f'@media screen {{ :root[data-theme="dark"] {{ {dark} }} }}',
    )


def _steps(ladder: Ladder) -> dict[str, Any]:
    """How low each step's moment stands, and what each call says that returns in a step of its own, until it does."""
    twice = Counter(step.row for step in ladder.steps)
    entries = {bar.row: terminal(bar.entry) for bar in ladder.bars if twice[bar.row] > 1}
    return {"steps": [round(step.y, 1) for step in ladder.steps], "entries": entries}


def _times(told: list[markup.Line]) -> list[float]:
    return [float(line.ms) for line in told]


def _heads(ladder: Ladder) -> str:
    """The hosts' names once more, at their lifelines: a strip that stays in sight."""
    size = f'width="{ladder.width:.0f}" height="{_HEAD:.0f}" viewBox="0 0 {ladder.width:.0f} {_HEAD:.0f}"'
    names = "".join(
        f'<text class="title" x="{line.x:.1f}" y="{line.title.y:.1f}" font-size="{line.title.size:g}" '
        f'text-anchor="middle">{html.escape(line.title.text)}</text>'
        for line in ladder.lifelines
    )
    ground = '<rect class="ground" width="100%" height="100%"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} aria-hidden="true">{ground}{names}</svg>'


@cache
def file(name: str) -> str:
    """The text of a file beside this one. Raises OSError."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(known: Any) -> str:
    """JSON in ASCII that no tag, comment or line separator of its own ends."""
    text = json.dumps(known, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
