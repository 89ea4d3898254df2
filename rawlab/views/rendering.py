"""The registry of views that a story is printed in, by the names of their formats: tabulate's tables, JSON, SVG."""

from __future__ import annotations

from dataclasses import replace

from rawlab.model.story import Story
from rawlab.views import story_json, svg, table
from rawlab.views.rows import is_foreign
from rawlab.views.style import Style

FORMATS: tuple[str, ...] = (*table.FORMATS, "json", "svg")


def render(story: Story, *, format: str = "simple", tables: str = "both", style: Style | None = None) -> str:
    """The story in one of FORMATS; `tables`: 'timeline', 'calls' or 'both', where the format is a table's."""
    whole = {"json": story_json.render, "svg": svg.render}
    if format in whole:
        return whole[format](story)
    style = replace(style or Style(), format=format)
    drawn = {"timeline": table.timeline, "calls": table.calls}
    if tables == "both" and is_foreign(story) and story.packets:  # nobody recorded a call
        tables = "timeline"
    return "\n\n".join(draw(story, style) for name, draw in drawn.items() if tables in (name, "both"))
