"""What `rawlab replay` does: reads a capture, tells its story."""

from __future__ import annotations

from rawlab.errors import Damaged, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened


_WITHOUT_CALLS = {"sniff": "sniff", "replay": "replay --to lab"}
"what made a capture of ours that holds packets alone, by the lab that stands in it"


def replay(arguments: argparse.Namespace, read_input: Callable[[str], Opened]) -> int:
    """Shows the capture; the exit code. Raises RawlabError."""
    if arguments.against is not None:
        from rawlab.commands import answering

        return answering.play(arguments, read_input)
    sent = (arguments.topspeed, arguments.loop, arguments.count, arguments.rate, arguments.outside)
    if arguments.to is not None or any(sent):
        from rawlab.commands import sending

        return sending.send(arguments, read_input)
    if arguments.output is not None or arguments.force:
        raise UsageError("-o, --force: go with --to lab or --against: of a replay without these nothing is captured")
    from rawlab.commands import pacing, showing

    if "help" in (arguments.where, arguments.sort):
        from rawlab.commands import listing

        return listing.explain_columns()
    showing.check_format(arguments)
    pacing.check(arguments)
    if arguments.strace:
        from rawlab.commands import tracing

        return tracing.replay(arguments, read_input)
    return show(read_input(arguments.file), arguments)


def show(opened: Opened, arguments: argparse.Namespace) -> int:
    """Lists the capture's flows, or tells its story; the exit code. Raises RawlabError."""
    if _may_list(arguments, opened):
        from rawlab.commands import listing

        if listing.listed(opened, arguments):
            return 0
    arguments.table = arguments.table or "both"
    return tell(opened, arguments)


def _may_list(arguments: argparse.Namespace, opened: Opened) -> bool:
    """Whether it may be no story of the whole: one flow was asked for, or lines, or a stranger made it."""
    from rawlab.wire.maker import is_own

    asked = arguments.flow or arguments.where or arguments.sort or arguments.table in ("flows", "frames")
    return bool(asked) or not is_own(opened.octets)


def tell(opened: Opened, arguments: argparse.Namespace, captured: Timeline | None = None) -> int:
    """Tells the capture as a story; the exit code. Raises RawlabError. `captured`: what it holds, if it is read."""
    from rawlab import store
    from rawlab.api import explain
    from rawlab.commands import pacing, showing
    from rawlab.views.counting import count

    captured = captured or store.parse(opened, arguments.file)
    sniffed = captured.run.lab in _WITHOUT_CALLS
    if sniffed and (arguments.table == "calls" or arguments.endpoint_calls):
        made = _WITHOUT_CALLS[captured.run.lab or ""]
        raise UsageError(f"{arguments.file}: {made} made it: it holds packets and no calls; leave --table calls out")
    if sniffed and arguments.format == "simple" and not (
        arguments.ladder or arguments.notes or pacing.is_paced(arguments)
    ):
        from rawlab.commands import sniffing

        sniffing.replay(captured, arguments)
        if captured.run.lab == "replay":
            print("\nsent again by replay --to lab; calls and whys are inferred, of the run that was captured first")
    else:
        (showing.show_live if pacing.is_paced(arguments) else showing.show)(explain(captured), arguments)
    if captured.damaged_at is not None:
        read = f"{count(len(captured.frames), 'packet')} read, damaged at byte {captured.damaged_at}"
        raise Damaged(f"{arguments.file}: {read}: {captured.damage}")
    if not captured.complete:
        raise Damaged(f"{arguments.file}: the run was cut off, or editcap left its counts of lost frames out")
    return 0
