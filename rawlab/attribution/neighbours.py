"""Why link-layer addresses are asked for and told: ARP (RFC 826), neighbour discovery (RFC 4861), and MLD (RFC 3810).

The kernel asks for a neighbour's address when it has a packet to send and does not know where to; that packet
waits, and leaves as the next one to the address that was asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence

from rawlab.attribution.pairing import Draft
from rawlab.attribution.words import OWN_TCP, kernel
from rawlab.model.facts import ArpMessage, IcmpMessage

_MLD = frozenset((130, 131, 132, 143))
_BROADCAST = "ff:ff:ff:ff:ff:ff"


def attribute(drafts: Sequence[Draft], own: Collection[str] = ()) -> None:
    """Gives every ARP, neighbour, router and multicast-listener message its cause.

    `own`: addresses that no kernel owns: rawlab asks and answers for them.
    """
    known = _Known(drafts)
    for index, draft in enumerate(drafts):
        match draft.facts.transport:
            case ArpMessage(operation=1, target=target, sender=asker):
                _asked(known, index, draft, asker, target, own)
            case ArpMessage(operation=2, sender=told):
                _answered(known, index, draft, told, told in own)
            case ArpMessage(operation=3):
                draft.cause = kernel("asks which IP address a link-layer address has (RARP, RFC 903)")
            case IcmpMessage(version=6, type=135, target=str(target)):
                asker = draft.facts.ip.source if draft.facts.ip else ""
                _asked(known, index, draft, asker, target, own)
            case IcmpMessage(version=6, type=136, target=str(told)):
                _answered(known, index, draft, told, told in own)
            case IcmpMessage(version=6, type=kind) if kind in _MLD:
                draft.cause = kernel("the kernel tells which multicast groups it listens to (MLD)")
            case IcmpMessage(version=6, type=133):
                draft.cause = kernel("the kernel looks for routers")
            case IcmpMessage(version=6, type=134):
                draft.cause = kernel("a router tells that it is there, and which prefixes are (RFC 4861 section 6.2)")


class _Known:
    """What was asked and told, and which packets went where: by address, with the packets' places among all."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.told: dict[str, list[tuple[int, Draft]]] = defaultdict(list)
        self.asked: dict[str, list[tuple[int, Draft]]] = defaultdict(list)
        self._sent: dict[tuple[str, str], tuple[list[int], list[Draft]]] = {}
        found = [(at, draft) for at, draft in enumerate(drafts) if _is_discovery(draft)]
        for at, draft in found:
            match draft.facts.transport:
                case ArpMessage(operation=kind, sender=told, target=target):
                    self.told[told].append((at, draft))
                    if kind == 1:
                        self.asked[target].append((at, draft))
                case IcmpMessage(type=136, target=str(told)):
                    self.told[told].append((at, draft))
                case IcmpMessage(type=135, target=str(target)):
                    self.asked[target].append((at, draft))
        if found:
            self._note_packets(drafts)

    def _note_packets(self, drafts: Sequence[Draft]) -> None:
        for at, draft in enumerate(drafts):
            ip = draft.facts.ip
            if ip is not None and not _is_discovery(draft):
                places, packets = self._sent.setdefault((ip.source, ip.destination), ([], []))
                places.append(at)
                packets.append(draft)

    def waiting(self, index: int, source: str, destination: str) -> Draft | None:
        """The next packet from one to the other, after that place."""
        places, packets = self._sent.get((source, destination), ((), ()))
        at = bisect_right(places, index)
        return packets[at] if at < len(packets) else None


def _is_discovery(draft: Draft) -> bool:
    message = draft.facts.transport
    if isinstance(message, IcmpMessage):
        return message.version == 6 and message.type in (135, 136)
    return isinstance(message, ArpMessage)


def _asked(known: _Known, index: int, draft: Draft, asker: str, target: str, own: Collection[str]) -> None:
    if asker in ("::", "0.0.0.0"):
        draft.cause = kernel(f"the kernel asks whether anyone has {target} already")
        return
    is_known = any(
        (_told_to(earlier) in own) == (asker in own)
        for at, earlier in known.told[target]
        if at < index and earlier.receiver == draft.sender
    )
    waiting = known.waiting(index, asker, target)
    who = f"the {draft.sender}'s kernel" if draft.sender else "a kernel"
    what = f"{OWN_TCP}, at {asker}, asks for" if asker in own else f"{who} asks for"
    asked = any(at < index and _asker(earlier, target) == _asker(draft, target) for at, earlier in known.asked[target])
    to_all = draft.facts.destination_mac == _BROADCAST or _is_multicast(draft)
    if waiting is not None and (not is_known or (to_all and not asked)):
        why = f"{what} the link-layer address of {target}, which packet {waiting.n} needs"
        draft.cause = kernel(why, packets=[waiting])
    elif is_known and asked:
        draft.cause = kernel(
            f"{what} the link-layer address of {target} again: its entry had aged", confidence="inferred"
        )
    elif is_known and not to_all:
        why = f"{what} the link-layer address of {target}, to confirm what {target} had told when it asked itself"
        draft.cause = kernel(why, confidence="inferred")
    else:
        draft.cause = kernel(f"{what} the link-layer address of {target}", confidence="inferred")


def _answered(known: _Known, index: int, draft: Draft, told: str, is_own: bool) -> None:
    here = f"{told} is here" + (", and rawlab answers for it: no kernel owns it" if is_own else "")
    earlier = next((asked for at, asked in reversed(known.asked[told]) if at < index), None)
    if earlier is not None:
        draft.cause = kernel(f"answers packet {earlier.n}: {here}", packets=[earlier])
    else:
        draft.cause = kernel(f"tells unasked that {told} is here", confidence="inferred")


def _asker(draft: Draft, address: str) -> str | None:
    """Who asks for the address: the host, or, where hosts have no names, its address; None: nobody does."""
    match draft.facts.transport:
        case ArpMessage(operation=1, target=target, sender=sender) if target == address:
            return draft.sender or sender
        case IcmpMessage(version=6, type=135, target=target) if target == address and draft.facts.ip is not None:
            return draft.sender or draft.facts.ip.source
    return None


def _is_multicast(draft: Draft) -> bool:
    return draft.facts.ip is not None and draft.facts.ip.destination.startswith("ff")


def _told_to(draft: Draft) -> str | None:
    """The address that asked for it, or is asked for itself: on a host with two stacks, which of them has learned."""
    match draft.facts.transport:
        case ArpMessage(target=told):
            return told
        case IcmpMessage(type=135, target=str(told)):
            return told
    return draft.facts.ip.destination if draft.facts.ip is not None else None
