"""What `import rawlab` offers: `capture` a lab, `load` a capture; both give a `Story`.

>>> import rawlab                                             # doctest: +SKIP
>>> story = rawlab.capture("tcp-echo", messages=[b"hello"])
>>> for call in story.calls: print(call.call.name, call.sent)
>>> print(story)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from rawlab import __version__, store
from rawlab.attribution.telling import tell
from rawlab.errors import LabError, OutputError
from rawlab.model import story, timeline
from rawlab.wire.decode import decode


class Story(story.Story):
    """A story that prints as its tables, and that a Jupyter notebook shows as its ladder."""

    def __str__(self) -> str:
        from rawlab.views.rendering import render

        return render(self)

    def __repr__(self) -> str:
        from rawlab.views.escape import terminal
        from rawlab.views.summary import summary

        return f"<Story of {terminal(self.timeline.run.lab or 'a capture')}: {summary(self)}>"

    def _repr_svg_(self) -> str:
        """The ladder, for a notebook."""
        from rawlab.views import svg

        return svg.render(self)

    def _repr_html_(self) -> str:
        """The ladder as a picture within the notebook: its style touches nothing else, and nothing is fetched."""
        from base64 import b64encode
        from html import escape

        from rawlab.views.escape import terminal

        lab = escape(terminal(self.timeline.run.lab or "a capture"))
        picture = b64encode(self._repr_svg_().encode()).decode()
        size = "max-width: 100%; height: auto"
        return f'<img alt="The ladder of {lab}" style="{size}" src="data:image/svg+xml;base64,{picture}">'


def explain(captured: timeline.Timeline) -> Story:
    """The story of a timeline: each frame decoded, each packet given its cause."""
    told = tell(captured, decode)
    return Story(**{field.name: getattr(told, field.name) for field in fields(told)})


def load(path: str | os.PathLike[str]) -> Story:
    """The story in a capture file, as far as the file is whole (`story.timeline.damaged_at`).

    Raises FormatError for a file that is no capture, OSError for one that can't be read.
    """
    return explain(store.load(path))


def capture(
    lab: str,
    *,
    messages: Sequence[bytes] = (),
    port: int | None = None,
    clients: int = 1,
    ipv6: bool = False,
    loopback: bool = False,
    stack: str | None = None,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    waiting: Callable[[str], None] = lambda _: None,
) -> Story:
    """Runs a lab and tells its story; with `output`, the capture is kept in that (new) file.

    `messages`: none: hello, where the lab sends what it is given.
    `stack`: whose SCTP, 'kernel' or 'user' (rawlab's own); the kernel's if it has one.
    Needs what `rawlab doctor` tries. Raises UsageError, PermissionMissing, LabError, OutputError.
    """
    from rawlab.live.session import Request, Session

    request = Request(
        lab=lab,
        messages=tuple(messages),
        port=port,
        clients=clients,
        ipv6=ipv6,
        loopback=loopback,
        stack=stack,
    ).checked()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "capture.pcapng") if output is None else Path(output)
        descriptor = store.create(path, force=force)
        try:
            outcome = Session().run(request, descriptor, __version__, waiting)
        finally:
            store.discard_empty(path, descriptor)
            os.close(descriptor)
        captured = store.load(path)
        if outcome.error:
            raise OutputError(f"{path}: {outcome.error}: {len(captured.frames)} frames are saved")
        if outcome.stopped:
            raise LabError(f"{lab}: {outcome.stopped}")
        return explain(captured if output is None else store.save(captured, path))
