"""Views: a story in, ink out. One file a view; this is their registry."""

from __future__ import annotations

from dataclasses import replace

from rawlab.model.story import Story
from rawlab.views.table import FORMATS as TABLE_FORMATS
from rawlab.views.table import Style

FORMATS: tuple[str, ...] = (*TABLE_FORMATS, "json", "svg")


def render(story: Story, *, format: str = "simple", tables: str = "both", style: Style | None = None) -> str:
    """The story in one of FORMATS; `tables`: 'timeline', 'calls' or 'both', where the format is a table's."""
    from rawlab.views import story_json, svg, table

    whole = {"json": story_json.render, "svg": svg.render}
    if format in whole:
        return whole[format](story)
    style = replace(style or Style(), format=format)
    drawn = {"timeline": table.timeline, "calls": table.calls}
    return "\n\n".join(draw(story, style) for name, draw in drawn.items() if tables in (name, "both"))
