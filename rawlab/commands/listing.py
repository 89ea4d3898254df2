"""What `rawlab replay` does with a capture of many flows: lists them, or its frames, or tells one of them.

    octets ─▶ windows of columns, analysed and summed (columns.survey) ─▶ the list (views.flow_list), as text or JSON
                                                                       ─▶ the frames' lines, window by window
                                                                       ─▶ the frames of one flow ─▶ its story

No frame becomes an object unless a story of it is told. One conversation is no list: it is told at once, as a capture
of rawlab's own is. Of ARP, neighbour discovery, multicast membership, and ICMP errors, there may be any number beside
it: they are about it, or about nobody.
"""

from __future__ import annotations

import shlex
import sys

from rawlab.commands import pacing, progress, showing, threads
from rawlab.errors import Damaged, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from rawlab.columns.flow_table import FlowTable
    from rawlab.columns.reading import Reading
    from rawlab.columns.survey import Survey
    from rawlab.model.event import Frame
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened
    from rawlab.views.style import Style

TOLD_AT_ONCE = 10_000
"packets of the only conversation of a capture: of more it is listed, too"
MOST_TOLD = 100_000
"packets of a story, unless --full: each takes some kilobytes"
_TOLD = ("tcp", "sctp", "udp")
_MOST_ROWS = 1000  # on a terminal, unless --full
_SMALL = 4 << 20
"octets of a capture that can't hold too many packets for a story"


def listed(opened: Opened, arguments: argparse.Namespace) -> bool:
    """Prints what was asked; False: the whole is to be told as a story, and nothing is printed. Raises RawlabError."""
    threads.only_one()
    _check(arguments)
    check_is_capture(opened)
    if arguments.flow:
        from rawlab.commands import one_flow

        one_flow.show(opened, arguments)
    elif _wants_story(arguments):
        _check_size(opened, arguments)
        return False
    elif arguments.table == "frames":
        from rawlab.commands import frame_lines

        frame_lines.show(opened, arguments)
    elif not _list(opened, arguments):
        return False
    return True


def explain_columns() -> int:
    """Prints what --where and --sort know."""
    from rawlab.columns import expression
    from rawlab.model.columns import EITHER, FLOWS

    print((expression.__doc__ or "").partition("What does *not*")[0].partition("How it works")[0].strip(), "\n")
    for column in (*FLOWS, *EITHER):
        name = column.name.replace("tcp_", "tcp.", 1).removesuffix("_ns" if column.name != "at_ns" else "")
        unit = "time" if column.unit == "ns" else column.unit or column.type
        print(f"{name:<29}{unit:<9}{column.meaning}")
    return 0


def complain_of_damage(opened: Opened, reading: Reading, packets: int) -> None:
    """Raises Damaged where the capture is not whole, once what is whole was told."""
    from rawlab.views.counting import count

    if (damage := _damage(opened, reading)) is not None:
        at, why = damage
        raise Damaged(f"{opened.name}: {count(packets, 'packet')} read, damaged at byte {at}: {why}")


def _damage(opened: Opened, reading: Reading) -> tuple[int, str] | None:
    """Where the capture ceases to be whole, and why; or what it was packed in does."""
    damage = reading.damage
    if damage is None and opened.broken is None:
        return None
    at, why = (len(opened.octets), "the capture goes on") if damage is None else (damage.offset, damage.why)
    return at, f"{why}; {opened.broken}" if opened.broken else why


def timeline_of(opened: Opened, reading: Reading, frames: Sequence[Frame]) -> Timeline:
    """Some frames of a stranger's capture as a timeline."""
    from rawlab.model.timeline import Point, Run, Timeline

    at, why = _damage(opened, reading) or (None, None)
    return Timeline(
        run=Run(),
        hosts=(),
        points=tuple(
            Point(name=point.name or f"interface {index}", linktype=point.linktype)
            for index, point in enumerate(reading.points)
        ),
        calls=(),
        frames=tuple(frames),
        complete=at is None,
        damaged_at=at,
        damage=why,
    )


# ------------------------------------------------------------------------------------------------- words


def _check(arguments: argparse.Namespace) -> None:
    """What does not go together, and what --where and --sort do not know. Raises UsageError."""
    lists = [f"--{name}" for name in ("where", "sort") if getattr(arguments, name)]
    if arguments.flow and (lists or arguments.table in ("flows", "frames")):
        raise UsageError(f"--flow tells one flow: leave {(lists or ['--table ' + str(arguments.table)])[0]} out")
    lists += [f"--table {arguments.table}"] if arguments.table in ("flows", "frames") else []
    if lists and (story := _story_words(arguments)):
        raise UsageError(f"{lists[0]} is of the list of flows, {story} of a story: leave one of them out")
    if lists and arguments.format == "svg":
        raise UsageError(f"{lists[0]}: a list is no picture; leave --format svg out")
    if arguments.sort and arguments.table == "frames":
        raise UsageError("--sort is of the list of flows; frames come in the order of the file: leave it out")
    if not (arguments.where or arguments.sort):
        return
    from rawlab.columns import expression

    if arguments.where:
        expression.parse(arguments.where)
    for word in arguments.sort.split(",") if arguments.sort else ():
        expression.column(word.strip().removeprefix("-"), "--sort")


def _story_words(arguments: argparse.Namespace) -> str:
    """The first option that is of a story only; ''."""
    if pacing.is_paced(arguments):
        return "--live"
    options = {"ladder": "--ladder", "notes": "--notes", "endpoint_calls": "--endpoint-calls"}
    words = [option for name, option in options.items() if getattr(arguments, name)]
    words += [f"--table {arguments.table}"] if arguments.table in ("timeline", "calls", "both") else []
    return next(iter(words), "")


def _wants_story(arguments: argparse.Namespace) -> bool:
    """Whether it is asked for in words, of however many flows."""
    whole = arguments.format in ("json", "svg") and not (arguments.table or arguments.where or arguments.sort)
    return bool(_story_words(arguments)) or whole


def _check_size(opened: Opened, arguments: argparse.Namespace) -> None:
    """Raises UsageError where there are too many packets for one story."""
    if not arguments.full:
        check_story(
            opened,
            "--flow N tells one flow's, --table flows lists them, --format tsv --table frames has every frame, "
            "--full tells all, in its own time",
        )


def check_story(opened: Opened, instead: str) -> None:
    """Raises UsageError where there are too many packets for one story; `instead`: what to do then."""
    if len(opened.octets) <= _SMALL:
        return
    threads.only_one()
    if (packets := surveyed(opened).totals.frames) > MOST_TOLD:
        raise UsageError(
            f"{opened.name}: {packets:,} packets are too many for one story (most: {MOST_TOLD:,}): {instead}"
        )


def check_is_capture(opened: Opened) -> None:
    from rawlab.wire import foreign

    foreign.check(opened.octets, opened.name)


def surveyed(opened: Opened) -> Survey:
    """The capture, read."""
    from rawlab.columns.survey import Survey

    survey = Survey(opened.octets)
    with progress.shown(opened.name) as tell:
        return survey.run(tell)


def style(arguments: argparse.Namespace) -> Style:
    """How lines are drawn."""
    from rawlab.views.style import Style

    simple, on_terminal = arguments.format == "simple", sys.stdout.isatty()
    return Style(
        format=arguments.format,
        width=showing.columns(arguments.width) if simple else None,
        colour=simple and showing.coloured(),
        most=_MOST_ROWS if simple and on_terminal and not arguments.full else None,
    )


# ------------------------------------------------------------------------------------------------- flows


def _list(opened: Opened, arguments: argparse.Namespace) -> bool:
    """Prints the list; False: there is one conversation, and nothing is printed."""
    may_tell = not (arguments.table or arguments.where or arguments.sort)
    if may_tell and arguments.format == "tsv":
        from rawlab.commands import frame_lines

        return frame_lines.show(opened, arguments, may_tell=True)
    survey = surveyed(opened)
    if may_tell and is_told(survey):
        return False
    table = survey.table()
    rows = chosen(table, arguments)
    if arguments.format in ("tsv", "json"):
        _print_flows(table, rows, arguments.format)
    else:
        _draw_flows(table, rows, survey, arguments)
    complain_of_damage(opened, survey.reading, survey.totals.frames)
    return True


def is_told(survey: Survey) -> bool:
    """Whether it is one conversation, and not too long to be told at once."""
    return 0 < survey.totals.frames <= TOLD_AT_ONCE and survey.conversations() == 1


def chosen(table: FlowTable, arguments: argparse.Namespace) -> Any:
    """The rows that --where leaves, in the order of --sort."""
    rows = table.values("flow") - 1
    if arguments.where and len(table):
        from rawlab.columns import expression

        rows = rows[expression.parse(arguments.where).of(table)]
    return table.sorted(rows, arguments.sort) if arguments.sort and len(rows) else rows


def _draw_flows(table: FlowTable, rows: Any, survey: Survey, arguments: argparse.Namespace) -> None:
    from rawlab.views import flow_list

    if not survey.totals.frames:
        print("no packet")
        return
    drawn = style(arguments)
    if drawn.format == "simple" and drawn.width is None:
        _pipe_flows(table, rows)
    else:
        some, left_out = _ends(rows, drawn.most)
        print(flow_list.render(table.lists(flow_list.NEEDED, some), drawn, left_out))
    if arguments.format != "simple":
        return
    total, more = survey.totals, list(_more(table, rows, survey))
    protocols = table.values("protocol")[rows].tolist()
    missing = int(table.values("tcp_missing")[rows].sum())
    print(f"\n{flow_list.summary(protocols, missing, total.frames, total.end_ns - total.start_ns, more)}")
    if len(rows):
        told = next((row for row, of in zip(rows, protocols, strict=True) if of in _TOLD), rows[0]) + 1
        print(f"rawlab replay {shlex.quote(arguments.file)} --flow {told} tells one of them")


def _pipe_flows(table: FlowTable, rows: Any) -> None:
    """As wide as it becomes, however many."""
    from rawlab.columns.flow_lines import FlowLines
    from rawlab.views import escape, flow_list

    drawn = FlowLines(table, rows, flow_list.TITLES, flow_list.RIGHT, escape.terminal)
    print(flow_list.head(drawn.widths))
    for piece in drawn.text():
        sys.stdout.write(piece.decode())


def _ends(rows: Any, most: int | None) -> tuple[Any, int]:
    """The rows, or the first and the last of too many; how many those leave out."""
    if most is None or len(rows) <= most:
        return rows, 0
    shown = [*range(most // 2), *range(len(rows) - most // 2, len(rows))]
    return rows[shown], len(rows) - len(shown)


def _more(table: FlowTable, rows: Any, survey: Survey) -> Iterator[str]:
    """What else the line beneath the list says."""
    from rawlab.views.counting import count
    from rawlab.wire.link_types import link_type

    if len(rows) < len(table):
        yield f"--where leaves out {count(len(table) - len(rows), 'flow')}"
    if survey.opaque:
        names = (link_type(survey.reading.points[point].linktype) for point in survey.opaque)
        of = ", ".join(f"{name} {frames}" for name, frames in zip(names, survey.opaque.values(), strict=True))
        yield f"{count(sum(survey.opaque.values()), 'frame')} not decoded ({of})"
    if cut := int(table.values("cut").sum()):
        yield f"{count(cut, 'frame')} cut short by the snap length"
    if back := survey.totals.backwards:
        many = "a frame is" if back == 1 else f"{back} frames are"
        yield f"the file is not in order of time ({many} older than the one before): listed in the order of the file"
    if untimed := survey.reading.untimed:
        yield f"{count(untimed, 'frame')} without a time stamp, counted at the time of the one before"


def _print_flows(table: FlowTable, rows: Any, format: str) -> None:
    """Every column of the flows."""
    from rawlab.model.columns import FLOWS
    from rawlab.views.escape import for_format

    names = [column.name for column in FLOWS]
    columns = table.lists(names, rows)
    lines = zip(*columns.values(), strict=True)
    if format == "json":
        print_json(dict(zip(names, line, strict=True)) for line in lines)
        return
    harmless = for_format(format)
    print("\t".join(names))
    for line in lines:
        print("\t".join("" if cell is None else harmless(str(cell)) for cell in line))


def print_json(objects: Iterable[dict[str, Any]]) -> None:
    """A list, one object a line."""
    import json

    before = "[\n "
    for one in objects:
        sys.stdout.write(f"{before}{json.dumps(one)}")
        before = ",\n "
    print("\n]" if before[0] == "," else "[]")
