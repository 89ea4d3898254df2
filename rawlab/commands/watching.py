"""What `rawlab capture --live` does: the run's rows while it goes on, and with --interactive its messages, as typed.

    the file, as it grows ─▶ its story so far ─▶ rows that nothing changes any more ─▶ views.live_timeline

A row is shown a moment after it happened: when all that was on its way has come. What the end of the run told
otherwise all the same is shown again then, as it is.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import time
from collections.abc import Callable

from rawlab import __version__
from rawlab.commands.showing import coloured, columns, show_before
from rawlab.errors import UsageError
from rawlab.model.lab import MOST_TYPED_OCTETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.api import Story
    from rawlab.live.session import Outcome, Request, Session
    from rawlab.views.rows import Row

_SETTLED_NS = 300_000_000  # frames and calls come within some tens of ms; a wire that delays, within 100
_MOST_ROWS = 2_000  # the story so far is told again and again
_MOST_MESSAGE = 4_096  # octets; a terminal's line has no more (termios(3))
_PROMPT = "Enter data:"

Perform = Callable[..., int]
"""How `cli` runs, saves, shows and judges."""
Key = tuple[str, int]
"""('c6', its time): a call has two rows"""


def check(arguments: argparse.Namespace) -> None:
    """Raises UsageError where what was asked for does not go together."""
    live = "--interactive" if arguments.interactive else "--live"
    if not (arguments.live or arguments.interactive):
        return
    if arguments.format != "simple":
        raise UsageError(f"{live}: shows the timeline as it happens: leave --format out")
    if arguments.output == "-":
        raise UsageError(f"{live}: the rows go to standard output; name a file for the capture")
    if arguments.all:
        raise UsageError(f"{live}: goes with one lab, not with --all")
    if arguments.interactive and arguments.messages:
        raise UsageError("--interactive: the messages are typed; leave --message and --size out")


def watch(
    session: Session, request: Request, arguments: argparse.Namespace, say: Callable[[str], None], perform: Perform
) -> int:
    """Runs the lab, and shows it meanwhile; the exit code. Raises RawlabError."""
    from rawlab.views.summary import summary

    watches: list[Watch] = []

    def run(descriptor: int) -> Outcome:
        watches.append(Watch(arguments, descriptor, request.hosts, session.type))
        return session.run(request, descriptor, __version__, say, watches[0].look)

    def show(story: Story, _: argparse.Namespace) -> None:
        watches[0].end(story)
        print(f"\n{summary(story)}")

    return perform(run, arguments, shown=show)


class Watch:
    """The rows of a run that goes on, and what is typed into it."""

    def __init__(
        self, arguments: argparse.Namespace, descriptor: int, hosts: list[str], type_: Callable[[bytes | None], None]
    ) -> None:
        """`descriptor`: the capture as it grows; `type_`: hands on a typed message, None for the end of them."""
        from rawlab.views.live_timeline import LiveTimeline

        self._table = LiveTimeline(hosts, width=columns(arguments.width), colour=coloured())
        self._descriptor = descriptor
        self._type = type_
        self._typing: bool = arguments.interactive
        self._typed = b""
        self._octets = 0
        self._size = 0
        self._unsettled = True
        "rows have come that were not shown yet"
        self._next_look = 0.0
        self._given_up = False
        self._shown: dict[Key, tuple[str, str, object]] = {}
        show_before(self._table.header())
        if self._typing:
            self._say(f"{_PROMPT} each line is a message of the client's; ^D ends them")

    def look(self) -> None:
        """Shows the rows that have come; takes what was typed."""
        if self._typing:
            self._take()
        now = time.monotonic()
        if self._given_up or now < self._next_look:
            return
        story = self._story()
        if story is not None:
            self._show(story, time.time_ns() - _SETTLED_NS)
            self._given_up = len(self._shown) > _MOST_ROWS
            if self._given_up:
                self._say(f"more than {_MOST_ROWS} rows: the others are shown when the run has ended")
        self._next_look = now + max(0.1, 4 * (time.monotonic() - now))

    def end(self, story: Story) -> None:
        """Shows the rest, and what is otherwise than it was shown."""
        from rawlab.views.rows import rows

        before = dict(self._shown)
        self._show(story, None)
        changed = [row for row in rows(story) if (seen := before.get(_key(row))) and seen != _told(row)]
        if changed:
            print("\nknown only later:")
            for row in changed:
                print(self._table.row(row))
        sys.stdout.flush()

    def _story(self) -> Story | None:
        """The story so far; None: as it was."""
        from rawlab import store
        from rawlab.api import explain

        size = os.fstat(self._descriptor).st_size
        if not size or (size == self._size and not self._unsettled):
            return None
        self._size = size
        return explain(store.parse(store.read(self._descriptor), "the run"))

    def _show(self, story: Story, until_ns: int | None) -> None:
        from rawlab.views.rows import rows

        self._unsettled = False
        for row in rows(story):
            if until_ns is not None and row.at_ns > until_ns:
                self._unsettled = True
                break
            key = _key(row)
            if key in self._shown:
                continue
            self._shown[key] = _told(row)
            show_before(self._table.row(row))

    def _take(self) -> None:
        """What was typed since, line by line."""
        while self._typing and select.select([sys.stdin], [], [], 0)[0]:
            came = os.read(sys.stdin.fileno(), 65536)
            *lines, self._typed = (self._typed + came).split(b"\n")
            if not came and self._typed:
                lines, self._typed = [self._typed], b""
            for line in lines:
                self._hand_on(line)
            if not came:
                self._typing = False
                self._type(None)

    def _hand_on(self, line: bytes) -> None:
        if not line:
            self._say(f"an empty line sends nothing; {_PROMPT}")
            return
        if len(line) > _MOST_MESSAGE:
            self._say(f"{len(line)} octets: a message has {_MOST_MESSAGE:,} at the most; it is left out")
            return
        if self._octets + len(line) + 4 > MOST_TYPED_OCTETS:
            self._say(f"more than {MOST_TYPED_OCTETS:,} octets were typed: no more are taken")
            self._typing = False
            self._type(None)
            return
        self._octets += len(line) + 4
        self._type(line)

    def _say(self, what: str) -> None:
        print(f"rawlab: {what}", file=sys.stderr, flush=True)


def _key(row: Row) -> Key:
    return row.label, row.at_ns


def _told(row: Row) -> tuple[str, str, object]:
    """What a row says; of a call that went on when it was shown, not yet how it ended."""
    return row.text.removesuffix(" <unfinished ...>"), row.why, row.states
