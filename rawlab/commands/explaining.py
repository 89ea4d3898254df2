"""What `rawlab explain` does: a topic's text, or one packet or call of a capture taken apart."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable

from rawlab.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.store import Opened


def explain(what: str | None, read: Callable[[str], Opened]) -> str:
    """The text. `what`: a topic, FILE:p6, FILE:c6, or None: the topics' names; `read`: a named capture's octets.

    Raises RawlabError.
    """
    from rawlab import topics

    if what is None:
        return "\n".join(topics.NAMES)
    file, colon, which = what.rpartition(":")
    if colon and file:
        return _row(file, which, read)
    name = topics.find(what)
    if name is None and os.path.exists(what):
        raise UsageError(f"{what}: is a file, not a topic; say {what}:p6 for its packet 6, or {what}:c6 for its call 6")
    if name is None:
        near = ", ".join(topics.near(what))
        raise UsageError(f"{what}: no such topic; {f'nearest: {near}' if near else '`rawlab explain` names them all'}")
    return topics.topic(name).removesuffix("\n")


def _row(file: str, which: str, read: Callable[[str], Opened]) -> str:
    """A packet (p6, or 6) or a call (c6) of a capture, taken apart."""
    from rawlab import store, topics
    from rawlab.api import explain
    from rawlab.commands import listing
    from rawlab.views import anatomy
    from rawlab.wire.maker import is_own

    kind, number = (which[:1], which[1:]) if which[:1] in ("c", "p") else ("p", which)
    if re.fullmatch(r"r\d+", which):
        raise UsageError(
            f"{which}: is a call that rawlab's own TCP or SCTP makes by itself, which is not taken apart; "
            "expected p6 for packet 6, c6 for call 6"
        )
    if not number.isdecimal():
        raise UsageError(f"{which}: expected p6 for packet 6, c6 for call 6")
    opened = read(file)
    if not is_own(opened.octets):
        listing.check_story(opened, f"name one flow: rawlab replay {shlex.quote(file)} --flow N tells it")
    story = explain(store.parse(opened, file))
    told = story.calls if kind == "c" else story.packets
    n = int(number)
    if not 1 <= n <= len(told):
        rows = [f"{kind}1 to {kind}{len(rows)}" for kind, rows in (("c", story.calls), ("p", story.packets)) if rows]
        raise UsageError(f"{which}: no such row; {file} has {' and '.join(rows) or 'none'}")
    if kind == "p":
        return anatomy.packet(story, n)
    name = story.calls[n - 1].call.name
    return anatomy.call(story, n, topics.topic(name) if name in topics.NAMES else "")
