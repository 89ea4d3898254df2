"""Why link-layer addresses are asked for and told: ARP (RFC 826), neighbour discovery (RFC 4861), and MLD (RFC 3810).

The kernel asks for a neighbour's address when it has a packet to send and does not know where to; that packet
waits, and leaves as the next one to the address that was asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rawlab.attribution.pairing import Draft
from rawlab.attribution.words import OWN_TCP, kernel
from rawlab.model.facts import ArpMessage, IcmpMessage

_MLD = frozenset((130, 131, 132, 143))
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_ROUTER = frozenset((133, 134))


def attribute(drafts: Sequence[Draft], own: Collection[str] = ()) -> None:
    """Gives every ARP, neighbour, router and multicast-listener message its cause.

    `own`: addresses that no kernel owns: rawlab asks and answers for them.
    """
    for index, draft in enumerate(drafts):
        match draft.facts.transport:
            case ArpMessage(operation=1, target=target, sender=asker):
                _asked(drafts, index, draft, asker, target, own)
            case ArpMessage(operation=2, sender=told):
                _answered(drafts, index, draft, told, told in own)
            case IcmpMessage(version=6, type=135, target=str(target)):
                asker = draft.facts.ip.source if draft.facts.ip else ""
                _asked(drafts, index, draft, asker, target, own)
            case IcmpMessage(version=6, type=136, target=str(told)):
                _answered(drafts, index, draft, told, told in own)
            case IcmpMessage(version=6, type=kind) if kind in _MLD:
                draft.cause = kernel("the kernel tells which multicast groups it listens to (MLD)")
            case IcmpMessage(version=6, type=kind) if kind in _ROUTER:
                draft.cause = kernel("the kernel looks for routers")


def _asked(drafts: Sequence[Draft], index: int, draft: Draft, asker: str, target: str, own: Collection[str]) -> None:
    if asker in ("::", "0.0.0.0"):
        draft.cause = kernel(f"the kernel asks whether anyone has {target} already")
        return
    known = any(
        _tells(earlier, target) and (_told_to(earlier) in own) == (asker in own)
        for earlier in drafts[:index]
        if earlier.receiver == draft.sender
    )
    waiting = next(_packets(drafts[index + 1 :], asker, target), None)
    who = f"the {draft.sender}'s kernel" if draft.sender else "a kernel"
    what = f"{OWN_TCP}, at {asker}, asks for" if asker in own else f"{who} asks for"
    asked = any(_asker(earlier, target) == _asker(draft, target) for earlier in drafts[:index])
    to_all = draft.facts.destination_mac == _BROADCAST or _is_multicast(draft)
    if waiting is not None and (not known or (to_all and not asked)):
        why = f"{what} the link-layer address of {target}, which packet {waiting.n} needs"
        draft.cause = kernel(why, packets=[waiting])
    elif known and asked:
        draft.cause = kernel(
            f"{what} the link-layer address of {target} again: its entry had aged", confidence="inferred"
        )
    elif known and not to_all:
        why = f"{what} the link-layer address of {target}, to confirm what {target} had told when it asked itself"
        draft.cause = kernel(why, confidence="inferred")
    else:
        draft.cause = kernel(f"{what} the link-layer address of {target}", confidence="inferred")


def _answered(drafts: Sequence[Draft], index: int, draft: Draft, told: str, is_own: bool) -> None:
    here = f"{told} is here" + (", and rawlab answers for it: no kernel owns it" if is_own else "")
    for earlier in reversed(drafts[:index]):
        match earlier.facts.transport:
            case ArpMessage(operation=1, target=target) | IcmpMessage(version=6, type=135, target=target) if (
                target == told
            ):
                draft.cause = kernel(f"answers packet {earlier.n}: {here}", packets=[earlier])
                return
    draft.cause = kernel(f"tells unasked that {told} is here", confidence="inferred")


def _tells(draft: Draft, address: str) -> bool:
    match draft.facts.transport:
        case ArpMessage(sender=told) | IcmpMessage(version=6, type=136, target=told):
            return told == address
    return False


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


def _packets(drafts: Sequence[Draft], source: str, destination: str) -> Iterator[Draft]:
    """IP packets from one to the other that are no neighbour discovery themselves."""
    for draft in drafts:
        ip, transport = draft.facts.ip, draft.facts.transport
        discovery = (
            isinstance(transport, IcmpMessage) and transport.version == 6 and transport.type in (135, 136)
        )
        if ip is not None and not discovery and (ip.source, ip.destination) == (source, destination):
            yield draft
