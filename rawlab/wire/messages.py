"""ICMP and ARP messages in tcpdump's words, written and read by the templates of `wire.symbols`.

A template is text with slots: 'net {to} unreachable'. Written, a slot is a field of the message; read, it is
a pattern, and the template that fits the whole text tells type and code. So there is one table for both
directions. The line around the words ('IP a > b: …, length 36') belongs to `wire.packets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import ip_address

from rawlab.model.facts import ArpMessage, IcmpMessage, IpHeader, Quoted
from rawlab.wire import symbols

NO_MAC, NO_ADDRESS = "00:00:00:00:00:00", "0.0.0.0"
LABELS = {4: "ICMP ", 6: "ICMP6, "}

_ADDRESS = r"[0-9a-f.:]+"
_MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"
_SLOTS = {
    "to": _ADDRESS,
    "origin": _ADDRESS,
    "target": _ADDRESS,
    "sender": _ADDRESS,
    "target_mac": _MAC,
    "sender_mac": _MAC,
    "upper": r"tcp|udp|protocol \d{1,3}",
    "mtu": r"\d{1,10}",
}
"what a slot may hold; all others hold a number of at most 16 bits"


def icmp_words(message: IcmpMessage) -> str:
    """'ICMP echo request, id 8, seq 1'; 'ICMP6, neighbor solicitation, who has fd00::2'."""
    table, values = symbols.icmp_messages(message.version), _icmp_values(message)
    template = table.get((message.type, message.code)) or table.get((message.type, None))
    if template is None and message.code == 0:
        template = symbols.UNKNOWN_MESSAGES[message.version]
    words = template and _fill(template, values)
    return LABELS[message.version] + (words or symbols.CUT_MESSAGE.format_map(values))


def parse_icmp(words: str, length: int) -> IcmpMessage | None:
    """The message of `length` octets that icmp_words() wrote so; None if no template fits."""
    for version, label in LABELS.items():
        if words.startswith(label):
            for key, template in _icmp_templates(version):
                slots = _match(template, words.removeprefix(label))
                if slots is not None:
                    return _icmp_message(version, key, slots, length)
    return None


def arp_words(message: ArpMessage) -> str:
    """'Request who-has 10.0.0.2 tell 10.0.0.1'."""
    values: dict[str, object] = {
        "operation": message.operation,
        "sender": message.sender,
        "sender_mac": message.sender_mac,
        "target": message.target,
        "target_mac": message.target_mac,
    }
    if message.operation == 1 and message.target_mac == NO_MAC:
        values["target_mac"] = None
    template = symbols.ARP_MESSAGES.get(message.operation, symbols.UNKNOWN_ARP)
    return _fill(template, values) or symbols.UNKNOWN_ARP.format_map(values)


def parse_arp(words: str) -> ArpMessage | None:
    """The message that arp_words() wrote so; what the words leave out is zero. None if no template fits."""
    for operation, template in [*symbols.ARP_MESSAGES.items(), (0, symbols.UNKNOWN_ARP)]:
        slots = _match(template, words)
        if slots is not None:
            return ArpMessage(
                operation=int(slots.get("operation", operation)),
                sender=slots.get("sender", NO_ADDRESS),
                sender_mac=slots.get("sender_mac", NO_MAC),
                target=slots.get("target", NO_ADDRESS),
                target_mac=slots.get("target_mac", NO_MAC),
            )
    return None


def is_address(text: str, version: int) -> bool:
    """Whether the text is an IPv4 (4) or IPv6 (6) address."""
    try:
        return ip_address(text).version == version
    except ValueError:
        return False


def _icmp_values(message: IcmpMessage) -> dict[str, object]:
    """What the slots hold; None where the message has no such field, or was cut."""
    values: dict[str, object] = {
        "type": message.type,
        "code": message.code,
        "identifier": message.identifier,
        "sequence": message.sequence,
        "target": message.target,
        # A router older than RFC 1191 tells no MTU: 0.
        "mtu": message.mtu or None if message.version == 4 else message.mtu,
    }
    if message.quoted:
        ip = message.quoted.ip
        known = ip.protocol in (6, 17)
        values["to"], values["origin"], values["protocol"] = ip.destination, ip.source, ip.protocol
        values["upper"] = symbols.protocol(ip.protocol) if known else f"protocol {ip.protocol}"
        values["port"] = message.quoted.destination_port
    return values


def _icmp_templates(version: int) -> Iterator[tuple[tuple[int | None, int | None], str]]:
    yield from symbols.icmp_messages(version).items()
    yield (None, 0), symbols.UNKNOWN_MESSAGES[version]
    yield (None, None), symbols.CUT_MESSAGE


def _icmp_message(
    version: int, key: tuple[int | None, int | None], slots: Mapping[str, str], length: int
) -> IcmpMessage:
    def number(slot: str) -> int | None:
        return int(slots[slot]) if slot in slots else None

    kind, code = key
    return IcmpMessage(
        version=version,
        type=number("type") or 0 if kind is None else kind,
        code=number("code") or 0 if code is None else code,
        identifier=number("identifier"),
        sequence=number("sequence"),
        target=slots.get("target"),
        mtu=number("mtu"),
        quoted=_quoted(version, slots) if "to" in slots else None,
        length=length,
    )


def _quoted(version: int, slots: Mapping[str, str]) -> Quoted:
    names = {name: number for number, name in symbols.IP_PROTOCOLS.items()}
    upper = slots.get("upper") or f"protocol {slots.get('protocol', 0)}"
    ip = IpHeader(
        version=version,
        source=slots.get("origin", ""),
        destination=slots["to"],
        protocol=names[upper] if upper in names else int(upper.removeprefix("protocol ")),
        ttl=0,
        length=0,
        payload=(0, 0),
    )
    return Quoted(ip=ip, destination_port=int(slots["port"]) if "port" in slots else None)


# ---- templates


def _fill(template: str, values: Mapping[str, object]) -> str | None:
    """The template's text; None if a slot outside of brackets has no value."""
    shown = re.sub(r"\[(.*?)\]", lambda part: part[1] if _whole(part[1], values) else "", template)
    return shown.format_map(values) if _whole(shown, values) else None


def _whole(template: str, values: Mapping[str, object]) -> bool:
    return all(values.get(slot) is not None for slot in re.findall(r"\{(\w+)\}", template))


def _match(template: str, text: str) -> dict[str, str] | None:
    """What the slots hold in a text of this template; None if the text does not fit."""
    found = _pattern(template).fullmatch(text)
    if found is None:
        return None
    slots = {slot: value for slot, value in found.groupdict().items() if value is not None}
    for slot, value in slots.items():
        if _SLOTS.get(slot) == _ADDRESS and not (is_address(value, 4) or is_address(value, 6)):
            return None
    return slots


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """The template as a pattern: brackets become optional groups, slots named ones."""
    pattern = ""
    for part in re.split(r"(\{\w+\}|[\[\]])", template):
        if part.startswith("{"):
            slot = part[1:-1]
            pattern += f"(?P<{slot}>{_SLOTS.get(slot, r'[0-9]{1,5}')})"
        else:
            pattern += {"[": "(?:", "]": ")?"}.get(part) or re.escape(part)
    return re.compile(pattern, re.ASCII)
