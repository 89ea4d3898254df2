"""What `tcp_analysis` finds of each packet, for captures without calls; packets go by their numbers in the story."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import cache

from rawlab.attribution.pairing import Draft
from rawlab.attribution.sight import blocks
from rawlab.attribution.tcp_analysis import TcpAnalysis
from rawlab.model.address import Flow
from rawlab.model.analysis import Finding
from rawlab.model.facts import TcpSegment

_BITS = {letter: 1 << place for place, letter in enumerate("FSRPAUEWe")}
_SCALE, _SACK = 3, 5


class Findings:
    """The analyses of all connections; `most`: so many are remembered, all by default."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._known: OrderedDict[Flow, TcpAnalysis] = OrderedDict()

    def see(self, draft: Draft) -> Finding:
        """What is found of the packet, the next one of its connection."""
        segment, flow = draft.facts.transport, draft.facts.flow
        assert isinstance(segment, TcpSegment)
        assert flow is not None
        key = flow.conversation
        forward, flags = flow == key, _bits(segment.flags)
        scale, sacked = _options(segment)
        known = self._known.get(key)
        if known is None or known.begins_anew(forward, segment.seq.value, flags):
            known = self._known[key] = TcpAnalysis(reused=known is not None)
        if self._most is not None:
            self._known.move_to_end(key)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return known.see(
            number=draft.n,
            at_ns=draft.at_ns,
            forward=forward,
            seq=segment.seq.value,
            ack=segment.ack.value,
            flags=flags,
            window=segment.window,
            length=segment.length,
            wscale=scale,
            sacked=sacked,
        )


def find(drafts: Iterable[Draft]) -> None:
    """Gives each its finding, in order of time; where the file has another order, tshark's are of that one."""
    findings = Findings()
    for draft in drafts:
        draft.finding = findings.see(draft)


@cache
def _bits(flags: str) -> int:
    return sum(_BITS[letter] for letter in flags)


def _options(segment: TcpSegment) -> tuple[int | None, int]:
    """Its window's shift, and the octets of its first three SACK blocks, which are all that tshark counts."""
    scale, sacked = None, 0
    for option in segment.options:
        if option.kind == _SCALE and option.values and scale is None:
            scale = option.values[0]
        elif option.kind == _SACK:
            sacked = sacked or sum((right - left) % (1 << 32) for left, right in blocks(segment)[:3])
    return scale, sacked
