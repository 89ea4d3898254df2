"""In which VLANs and tunnels the packets of anyone's capture are: said once of all, or of each where they differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rawlab.attribution.pairing import Draft

_NAMED = 4
_TUNNELS = {4: "IPv4 in IP", 41: "IPv6 in IP"}
"of IP protocols that carry a packet without a header of their own"


def add(drafts: Sequence[Draft]) -> None:
    """Says of each packet where it is, if not all are in the same place, nor all of each direction."""
    if len({place(draft) for draft in drafts}) > 1 and not _by_direction(drafts):
        for draft in drafts:
            if (where := place(draft)) and (draft.copy_of is None or place(draft.copy_of) == where):
                draft.cause = replace(draft.cause, reason=f"{draft.cause.reason}; in {where}")


def tell(drafts: Sequence[Draft]) -> Iterator[str]:
    """In how many places how many packets are; nothing where none is in a VLAN or tunnel."""
    found = Counter(place(draft) for draft in drafts)
    if len(found) == 1 and (only := next(iter(found))):
        yield f"all packets are in {only}"
    elif len(found) > 1:
        named = [f"{count} in {where or 'none'}" for where, count in found.most_common(_NAMED)]
        more = f", and more in {len(found) - _NAMED} others" if len(found) > _NAMED else ""
        by = ", one for each direction" if _by_direction(drafts) else ""
        yield f"packets are in different VLANs or tunnels: {', '.join(named)}{more}{by}"
        twice = sum(draft.copy_of is not None and place(draft) != place(draft.copy_of) for draft in drafts)
        if twice:
            yield f"{twice} of them were captured in two: each such packet stands here twice"


def _by_direction(drafts: Sequence[Draft]) -> bool:
    """Whether who sends a packet tells in which of two places it is."""
    found = {(draft.facts.ip.source if draft.facts.ip is not None else None, place(draft)) for draft in drafts}
    return len(found) == 2 == len({source for source, _ in found})


def place(draft: Draft) -> str:
    """'VLAN 10', 'a tunnel, VXLAN vni 5 between 1.1.1.1 and 2.2.2.2'; '' where it is in none."""
    facts = draft.facts
    if not facts.vlans and not facts.outer:
        return ""
    words = [f"VLAN {'.'.join(map(str, facts.vlans))}"] if facts.vlans else []
    for outer in facts.outer:
        ends = sorted((outer.ip.source, outer.ip.destination))
        words.append(f"a tunnel, {_kind(outer.carrier, outer.ip.protocol)} between {ends[0]} and {ends[1]}")
    return ", in ".join(words)


def _kind(carrier: str, protocol: int) -> str:
    """'VXLAN vni 42', 'GREv0 key=0x9': of what stands before the packet, what is the same in all of a tunnel."""
    name = re.match(r"[A-Za-z]+\d?", carrier)
    if name is None:
        return _TUNNELS.get(protocol, f"IP protocol {protocol}")
    told = re.search(r"vni \w+|key=\w+", carrier)
    return f"{name[0]} {told[0]}" if told else name[0]
