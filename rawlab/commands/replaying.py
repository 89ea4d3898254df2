"""What `rawlab replay` does: reads a capture, tells its story."""

from __future__ import annotations

from rawlab.errors import Damaged, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def replay(arguments: argparse.Namespace, read_input: Callable[[str], bytes]) -> int:
    """Shows the capture; the exit code. Raises RawlabError."""
    from rawlab import store
    from rawlab.api import explain
    from rawlab.commands import pacing, showing
    from rawlab.views.summary import count

    showing.check_format(arguments)
    pacing.check(arguments)
    captured = store.parse(read_input(arguments.file), arguments.file)
    sniffed = captured.run.lab == "sniff"
    if sniffed and (arguments.table == "calls" or arguments.endpoint_calls):
        raise UsageError(f"{arguments.file}: sniff made it: it holds packets and no calls; leave --table calls out")
    if sniffed and arguments.format == "simple" and not (
        arguments.ladder or arguments.notes or pacing.is_paced(arguments)
    ):
        from rawlab.commands import sniffing

        sniffing.replay(captured, arguments)
    else:
        (showing.show_live if pacing.is_paced(arguments) else showing.show)(explain(captured), arguments)
    if captured.damaged_at is not None:
        read = f"{count(len(captured.frames), 'packet')} read, damaged at byte {captured.damaged_at}"
        raise Damaged(f"{arguments.file}: {read}: {captured.damage}")
    if not captured.complete:
        raise Damaged(f"{arguments.file}: the run was cut off, or editcap left its counts of lost frames out")
    return 0
