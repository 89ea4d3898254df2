"""Packets of every link type, in tunnels and in fragments, in every view: drawn, and told by the innermost packet."""

from __future__ import annotations

import pytest

from rawlab.attribution.telling import tell
from rawlab.model.event import Frame
from rawlab.model.story import Story
from rawlab.model.timeline import Point, Run, Timeline
from rawlab.views.anatomy import packet
from rawlab.views.outputs import OUTPUTS, Choice
from rawlab.views.rendering import render
from rawlab.wire import pcapng
from rawlab.wire.decode import decode
from tests.wire.tunnelled import CASES

BINARY = {".png", ".pdf", ".pcapng"}
TEXTS = sorted(OUTPUTS.keys() - BINARY - {".pkt"})  # a .pkt is of a TCP connection only


def of(name: str) -> Story:
    linktype, octets = CASES[name]
    frames = tuple(
        Frame(number=n, at_ns=n * 1000, point=0, outgoing=None, data=data, length=len(data))
        for n, data in enumerate(octets, 1)
    )
    points = (Point(name="eth0", linktype=linktype),)
    return tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=frames), decode)


@pytest.mark.parametrize("name", CASES)
def test_every_view_shows_it(name: str) -> None:
    """No view fails on it; in tables stands what its innermost packet says, and explain has a writer for all octets."""
    story = of(name)
    made = {ending: OUTPUTS[ending](story, Choice(source=pcapng.section_header([]))) for ending in TEXTS}
    assert all(made.values())
    table = render(story)
    for told in story.packets:
        assert f"p{told.n}" in table
        ports = told.facts.flow
        assert ports is None or f"{ports.source.port}" in packet(story, told.n)
        assert "written by" in packet(story, told.n)
