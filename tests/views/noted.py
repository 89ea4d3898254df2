"""A story with a lecturer's notes on it."""

from __future__ import annotations

from dataclasses import replace

from rawlab.attribution.telling import tell
from rawlab.model.story import Story
from rawlab.wire.decode import decode
from tests.views.stories import echo


def noted(packet: str, call: str) -> Story:
    """The short echo, a note on its first packet and one on its first call."""
    story = echo()
    number = story.packets[0].frames[0]
    frames = [replace(one, comments=(packet,)) if one.number == number else one for one in story.frames]
    calls = [replace(one, notes=(call,)) if one is story.calls[0].call else one for one in story.timeline.calls]
    return tell(replace(story.timeline, frames=tuple(frames), calls=tuple(calls)), decode)
