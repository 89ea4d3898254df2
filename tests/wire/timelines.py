"""Timelines such as rawlab records, made by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from rawlab.model.event import Frame
from rawlab.model.timeline import Host, Point, Run, Timeline
from tests.wire.values import NS, calls

WORDS = st.text("abcxyz09.-", min_size=1, max_size=8)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
COUNTS = st.integers(0, 1 << 50)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """One section, calls in order of entry, frames in any order; points are the hosts' or nobody's."""
    names = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
    addresses = st.lists(st.ip_addresses().map(str), max_size=2).map(tuple)
    hosts = [Host(name=name, addresses=draw(addresses), own_tcp=draw(addresses)) for name in names]
    points = [
        Point(
            name=name, linktype=draw(st.sampled_from([1, 113])), host=name, captured=draw(COUNTS), dropped=draw(COUNTS)
        )
        for name in names
    ]
    if draw(st.booleans()):
        points.append(Point(name="lo 0", linktype=1, captured=draw(COUNTS), dropped=draw(COUNTS)))
    frames = draw(st.lists(_frames(len(points)), max_size=6))
    made = draw(st.lists(calls(hosts=tuple(names)), max_size=5))
    return Timeline(
        run=Run(lab=draw(WORDS), stack=draw(st.none() | WORDS), rawlab=draw(WORDS), kernel=draw(st.none() | WORDS)),
        hosts=tuple(hosts),
        points=tuple(points),
        calls=tuple(sorted(made, key=lambda call: call.entered_ns)),
        frames=tuple(frames),
    )


def _frames(points: int) -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        number=st.just(0),
        at_ns=st.integers(NS, NS + 10**9),
        point=st.integers(0, points - 1),
        outgoing=st.sampled_from([True, False, None]),
        data=st.binary(min_size=1, max_size=80),
        length=st.integers(80, 2000),
        comments=st.lists(TEXTS, max_size=2).map(tuple),
    )
