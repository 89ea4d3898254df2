"""The story as a Markdown document: a title, the picture that stands beside it, the table, what rows mean."""

from __future__ import annotations

import string
from collections.abc import Collection

from rawlab.model.story import Story
from rawlab.views.escape import markdown, terminal
from rawlab.views.explanations import explanations
from rawlab.views.rows import rows
from rawlab.views.style import Style
from rawlab.views.summary import summary
from rawlab.views.table import timeline

_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}-._~".encode())  # RFC 3986 section 2.3


def render(story: Story, *, shown: Collection[str] | None = None, picture: str = "") -> str:
    """The document; `picture`: the name of the picture beside it, '' for none."""
    run = story.timeline.run
    title = run.lab or "A capture"
    parts = [f"# {_inline(title)}: its calls and packets"]
    if picture:
        parts.append(f"![{_inline(title)}: the ladder of its calls and packets]({_address(picture)})")
    parts.append(timeline(story, Style(format="github", shown=shown)))
    means = explanations(story)
    order = [label for label in dict.fromkeys(row.label for row in rows(story)) if label in means]
    if listed := [f"- **{label}**: {_inline(means[label])}" for label in order if shown is None or label in shown]:
        parts.append("\n".join(("What it means here:\n", *listed)))
    made = f" Recorded by rawlab {run.rawlab} on Linux {run.kernel}." if run.rawlab and run.kernel else ""
    parts.append(f"{_inline(summary(story))}.{_inline(made)}")
    return "\n\n".join(parts) + "\n"


def _inline(text: str) -> str:
    """Within a line: no link, emphasis or heading begins."""
    flat = markdown(terminal(text.replace("\n", " ")))
    return "".join(f"\\{character}" if character in "[]*_#" else character for character in flat)


def _address(name: str) -> str:
    """The name as a relative reference (RFC 3986), percent-encoded."""
    octets = name.encode(errors="surrogateescape")
    return "".join(chr(octet) if octet in _PLAIN else f"%{octet:02X}" for octet in octets)
