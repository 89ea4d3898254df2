"""What `rawlab annotate` does: a capture, or a part of it, made into a picture or another file.

    the capture ─▶ its story ─▶ the part asked for (views.part) ─▶ octets, by the ending (views.outputs) ─▶ files

The capture is opened as whoever calls; it is read, and all is made and written, after every privilege is given up: new
files, mode 0600, the user's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rawlab.errors import Damaged, OutputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.api import Story
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened
    from rawlab.views.outputs import Choice

_STANDARD_OUTPUT = "-"


def annotate(arguments: argparse.Namespace, read: Callable[[str, str], Opened]) -> int:
    """The command's exit code. Raises RawlabError.

    `read` gives a named capture's octets; of root, it makes whoever owns the folder that is written to.
    """
    from rawlab import store
    from rawlab.api import explain

    ending = _ending(arguments)
    _check_words(arguments, ending)
    folder = "." if arguments.output == _STANDARD_OUTPUT else os.path.dirname(arguments.output) or "."
    source = read(arguments.file, folder)
    captured = _captured(arguments, source)
    story = explain(captured)
    made = dict(_made(story, arguments.output, ending, _choice(arguments, story, source)))
    for name in filter(None, made):
        store.refuse_input(name, (arguments.file,))
    _check_places(made, force=arguments.force)
    for path, octets in made.items():
        _write(path, octets, force=arguments.force)
    if captured.damaged_at is not None:
        raise Damaged(
            f"{arguments.file}: damaged at byte {captured.damaged_at}: {captured.damage}; what stands before is shown"
        )
    if not captured.complete:
        why = "the run was cut off, or editcap left its counts of lost frames out"
        raise Damaged(f"{arguments.file}: {why}; what is there is shown")
    return 0


def _captured(arguments: argparse.Namespace, source: Opened) -> Timeline:
    """What is told; of a stranger's capture only the flow that is asked for, by the number that `replay` lists it by.

    Raises RawlabError.
    """
    from rawlab import store
    from rawlab.wire import foreign
    from rawlab.wire.maker import is_own

    if is_own(source.octets):
        return store.parse(source, arguments.file)
    from rawlab.commands import listing, threads

    if arguments.flow is None:
        listing.check_story(source, "--flow N takes one flow; rawlab replay lists them")
        return store.parse(source, arguments.file)
    threads.only_one()
    foreign.check(source.octets, source.name)
    from rawlab.columns.reading import Reading
    from rawlab.commands import one_flow

    wanted = argparse.Namespace(flow=arguments.flow, full=False)
    arguments.flow = None  # it is all there is
    return one_flow.timeline_of(source, Reading(source.octets), wanted)


def _ending(arguments: argparse.Namespace) -> str:
    """'.svg': what the output is to be. Raises UsageError."""
    from rawlab.views.outputs import OUTPUTS

    if arguments.output.endswith("/"):
        raise UsageError(f"-o {arguments.output}: is a folder; a file's name expected")
    known = ", ".join(sorted(OUTPUTS))
    if arguments.ending is not None:
        ending = f".{arguments.ending.lower().removeprefix('.')}"
        if ending not in OUTPUTS:
            raise UsageError(f"--format {arguments.ending}: no such format; there are: {known}")
        return ending
    if arguments.output == _STANDARD_OUTPUT:
        raise UsageError(f"-o -: say with --format what it is to be; there are: {known}")
    ending = Path(arguments.output).suffix.lower()
    if ending not in OUTPUTS:
        raise UsageError(f"-o {arguments.output}: the ending says what it becomes; there are: {known}")
    return ending


def _check_words(arguments: argparse.Namespace, ending: str) -> None:
    """What does not go together. Raises UsageError."""
    from rawlab.views.outputs import STEPPED, STEPS, TEXTS

    if arguments.hide and ending != ".html":
        raise UsageError(f"--hide: a quiz is a page, a {ending} is none; say -o FILE.html")
    if arguments.seed is not None and not arguments.hide:
        raise UsageError("--seed: chooses the cells of a quiz; say with --hide what it hides")
    for option, wanted in (("side", ".pkt"), ("scale", ".png")):
        if getattr(arguments, option) is not None and ending != wanted:
            raise UsageError(f"--{option}: is of a {wanted}; a {ending} has none")
    to_standard_output = arguments.output == _STANDARD_OUTPUT
    if to_standard_output and ending not in TEXTS and sys.stdout.isatty():
        raise UsageError(f"-o -: a {ending} is no text for a terminal; send it to a file or a pipe")
    if arguments.steps and ending not in STEPPED and ending not in STEPS:
        raise UsageError(f"--steps: a {ending} has none; those that do: {', '.join(sorted({*STEPPED, *STEPS}))}")
    if arguments.steps and ending in STEPS and to_standard_output:
        raise UsageError(f"-o -: --steps makes several {ending} files; name them with -o, or take .pdf")


def _choice(arguments: argparse.Namespace, story: Story, source: Opened) -> Choice:
    """Raises UsageError for a part that is not there."""
    from rawlab.views import part
    from rawlab.views.outputs import Choice

    shown = part.shown(
        story,
        rows=arguments.rows,
        phases=tuple(phase for phase in part.PHASES if getattr(arguments, phase)),
        flow=arguments.flow,
    )
    return Choice(
        shown=shown,
        axis=arguments.axis,
        theme=arguments.theme,
        scale=2.0 if arguments.scale is None else arguments.scale,
        width=arguments.width,
        steps=arguments.steps,
        name="" if arguments.output == _STANDARD_OUTPUT else Path(arguments.output).stem,
        source=source.octets,
        side=arguments.side or "client",
        hide=arguments.hide,
        seed=arguments.seed or 0,
    )


def _made(story: Story, output: str, ending: str, choice: Choice) -> Iterator[tuple[str | None, bytes]]:
    """(path, octets) of each file; no path: standard output."""
    from rawlab.views.outputs import BESIDE, OUTPUTS, STEPS

    if output == _STANDARD_OUTPUT:
        yield None, OUTPUTS[ending](story, choice)
        return
    path = Path(output)
    if choice.steps and ending in STEPS:
        if ending == ".png" and sys.stderr.isatty():
            print("rawlab: drawing a picture of each step; a .pdf of them is made sooner", file=sys.stderr)
        steps = STEPS[ending](story, choice)
        digits = max(len(str(len(steps))), 2)
        for number, octets in enumerate(steps, 1):
            yield str(path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}")), octets
        return
    yield str(path), OUTPUTS[ending](story, choice)
    if ending in BESIDE:
        beside = BESIDE[ending]
        yield str(path.with_suffix(beside)), OUTPUTS[beside](story, choice)


def _check_places(paths: Iterable[str | None], *, force: bool) -> None:
    """Of several files all can be written, or none is. Raises OutputError."""
    output = None
    for path in paths:
        if path is not None and not force and os.path.lexists(path):
            whose = f" ({output} has it beside it)" if output is not None and output.endswith(".md") else ""
            raise OutputError(f"{path}{whose}: exists; nothing is overwritten without --force")
        output = output or path


def _write(path: str | None, octets: bytes, *, force: bool) -> None:
    """Raises OutputError."""
    from rawlab import store

    if path is None:
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    descriptor = store.create(Path(path), force=force)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(octets)
    except OSError as error:
        os.unlink(path)
        raise OutputError(f"{path}: can't be written whole: {error.strerror}; nothing is left of it") from None
    finally:
        os.close(descriptor)
