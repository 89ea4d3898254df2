"""Octets of packets made by hand, through scapy: descriptions built, captured packets changed.

How it works: each part of a description becomes the scapy layer of that name; what it leaves out is filled in with
the place's own addresses, MACs and ports (`Ends`), because scapy would ask the routing table, the neighbours and
the name servers of this machine. Names and values are looked at before scapy sees them, so that what is wrong is told
with its column and what was expected. A list of alternatives, or a range (1, 3), makes several packets, as in scapy.

scapy is imported through `wire.fields`, on first use only. What does not belong here: reading descriptions
(`wire.description`), what is right or wrong in the octets (`wire.checks`), sending (`live.craft`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

from rawlab.errors import UsageError
from rawlab.model.craft import MOST_PACKETS, Crafted, Ends
from rawlab.wire.checks import checks
from rawlab.wire.description import Description, Part, Setting, Value
from rawlab.wire.fields import load_scapy, quiet

_MODULES = ("dhcp", "dns", "inet", "inet6", "l2", "sctp")
_COMPUTED = ("chksum", "cksum", "len", "plen", "ihl", "dataofs")
"fields that scapy computes when they are not given"
_ETHERNET_HEADER = 14
_MAC = re.compile(r"(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}")
_BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}
_LINKTYPES = {14: 101}
"link types that scapy knows by another number"


@cache
def layers() -> dict[str, Any]:
    """The layers that a description may name."""
    scapy = load_scapy()
    modules = tuple(f"scapy.layers.{name}" for name in _MODULES)
    known = {layer.__name__: layer for layer in scapy.config.conf.layers if layer.__module__ in modules}
    return {**known, "Raw": scapy.packet.Raw, "Padding": scapy.packet.Padding}


def build(description: Description, ends: Ends, settings: Sequence[Setting] = ()) -> list[Crafted]:
    """The packets that a description stands for, its fields set anew. Raises UsageError."""
    with _alone():
        packet = _stack(description.parts, description)
        for setting in settings:
            _set(packet, setting)
        _fill(packet, ends)
        return _built(packet, ends)


def change(
    data: bytes, linktype: int, ends: Ends, settings: Sequence[Setting] = (), keep: Sequence[tuple[str, str]] = ()
) -> list[Crafted]:
    """A captured packet, fields of it set anew; what scapy can compute is computed, but for what is kept.

    Its link header is left away where IP follows, unless a setting names it. Raises UsageError.
    """
    with _alone():
        known = load_scapy().config.conf.l2types
        linktype = _LINKTYPES.get(linktype, linktype)
        if linktype not in known:
            raise UsageError(f"a packet of link type {linktype} can't be taken apart")
        packet = known[linktype](data)
        for layer, field in keep:
            _named(packet, layer, field)
        if settings:
            _forget_computed(packet, settings, keep)
        packet = _without_link(packet, [setting.layer for setting in settings] + [layer for layer, _ in keep])
        for setting in settings:
            _set(packet, setting)
        return _built(packet, ends)


def names_layer(description: Description, setting: Setting) -> bool:
    """Whether a description has the layer of a setting."""
    return any(part.layer.casefold() == setting.layer.casefold() for part in description.parts)


@contextmanager
def _alone() -> Iterator[None]:
    """While packets are built, scapy asks nobody: no routes, no neighbours, no name servers."""
    scapy = load_scapy()
    conf, net = scapy.config.conf, scapy.base_classes.Net
    before = conf.route, conf.route6, conf.neighbor.resolvers, vars(net)["name2addr"]
    conf.route = conf.route6 = _Routes()
    conf.neighbor.resolvers = {}
    net.name2addr = staticmethod(_literal)
    try:
        with quiet():
            yield
    finally:
        conf.route, conf.route6, conf.neighbor.resolvers, net.name2addr = before


class _Routes:
    """A routing table that leads nowhere."""

    def route(self, *_: object, **__: object) -> tuple[str, str, str]:
        return "lo", "0.0.0.0", "0.0.0.0"


def _literal(name: str) -> str:
    """An address, not a name: whoever asks for a name's would send packets. Raises ValueError."""
    return str(ip_address(name))


# ---- parts to layers


def _stack(parts: Sequence[Part], description: Description) -> Any:
    packet: Any = None
    for part in parts:
        layer = _layer(part, description)
        packet = layer if packet is None else packet / layer
    return packet


def _layer(part: Part, description: Description) -> Any:
    known = layers()
    if part.layer not in known:
        raise description.error(f"a layer that scapy knows{nearest(part.layer, known)}", part.column)
    layer = known[part.layer]()
    for (name, value), column in zip(part.fields, part.columns or (1,) * len(part.fields), strict=True):
        if name not in _fields(layer):
            raise description.error(f"a field of {part.layer}{nearest(name, _fields(layer))}", column - len(name) - 1)
        if (expected := _objection(layer, name, value)) is not None:
            raise description.error(f"{part.layer}.{name}: {expected}", column)
        try:
            layer.setfieldval(name, _inside(value, description))
        except UsageError:
            raise
        except Exception as error:
            raise description.error(f"{part.layer}.{name}: what scapy takes ({_said(error)})", column) from None
    return layer


def _inside(value: Value, description: Description) -> Any:
    """A value with its packets inside built; strings and numbers as they are."""
    match value:
        case (Part(), *_):
            return _stack(value, description)  # type: ignore[arg-type]
        case list():
            return [_inside(item, description) for item in value]
        case tuple():
            return tuple(_inside(item, description) for item in value)  # type: ignore[arg-type]
    return value


def _set(packet: Any, setting: Setting) -> None:
    layer = _named(packet, setting.layer, setting.field)
    name = f"{type(layer).__name__}.{setting.field}"
    value = setting.value
    if isinstance(value, int) and not _takes_numbers(layer, setting.field):
        value = setting.text.partition("=")[2]
    if (expected := _objection(layer, setting.field, value)) is not None:
        raise UsageError(f"--set {setting.text}: {name}: expected {expected}")
    try:
        layer.setfieldval(setting.field, _inside(value, Description(parts=(), text=setting.text)))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"--set {setting.text}: {name}: scapy can't take that ({_said(error)})") from None


def _named(packet: Any, name: str, field: str) -> Any:
    """The outermost layer of that name, which has that field. Raises UsageError."""
    there = {type(layer).__name__: layer for layer in reversed(_chain(packet))}
    found = next((layer for known, layer in there.items() if known.casefold() == name.casefold()), None)
    if found is None:
        raise UsageError(f"{name}.{field}: the packet has no such layer{nearest(name, there)}")
    if field not in _fields(found):
        raise UsageError(f"{name}.{field}: no such field{nearest(field, _fields(found))}")
    return found


def _chain(packet: Any) -> list[Any]:
    """The layers from the outermost in."""
    found: list[Any] = []
    while packet and len(found) < 64:
        found.append(packet)
        packet = packet.payload
    return found


def _fields(layer: Any) -> list[str]:
    return [field.name for field in layer.fields_desc]


def _said(error: Exception) -> str:
    """What scapy says, on one line, without its advice on how to get around it."""
    return " ".join(str(error).partition("To inject bytes")[0].split())[:120]


def nearest(word: str, known: Iterable[str]) -> str:
    """'; nearest: TCP, SCTP', of the names that are known; if none is near, some that there are."""
    spelt = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), spelt, 3, 0.4)
    most = ", ".join(sorted(spelt.values())[:12])
    return f"; nearest: {', '.join(spelt[name] for name in near)}" if near else f"; there are: {most}"


# ---- values


def _field(layer: Any, name: str) -> Any:
    """A field's description, without what is wrapped around it."""
    field = next(field for field in layer.fields_desc if field.name == name)
    while hasattr(field, "fld"):
        field = field.fld
    return field


def _takes_numbers(layer: Any, name: str) -> bool:
    """Whether digits mean a number there; else they are text, as in `raw.load=12`."""
    return _bits(_field(layer, name)) is not None or _field(layer, name).islist


def _objection(layer: Any, name: str, value: Value) -> str | None:
    """What is expected there instead; None if the value will do, or if only scapy can tell."""
    field = _field(layer, name)
    if value is None or field.islist:
        return None
    if isinstance(value, list):
        return next((why for item in value if (why := _objection(layer, name, item)) is not None), None)
    bits = _bits(field)
    if isinstance(value, tuple) and len(value) in (2, 3) and all(isinstance(item, int) for item in value):
        if bits is not None and value[0] > value[1]:  # type: ignore[operator]
            return "a range from less to more"
        return next((why for item in value if (why := _objection(layer, name, item)) is not None), None)  # type: ignore[arg-type]
    kinds = load_scapy().fields
    if isinstance(field, kinds.IPField | kinds.IP6Field):
        return _address_objection(value, 6 if isinstance(field, kinds.IP6Field) else 4)
    if isinstance(field, kinds.MACField):
        return None if isinstance(value, str) and _MAC.fullmatch(value) else "a MAC address, as 02:00:00:00:00:02"
    return None if bits is None else _number_objection(field, value, *bits)


def _bits(field: Any) -> tuple[int, bool] | None:
    """How many bits a number there has, and whether it is signed; None: it is no number."""
    kinds = load_scapy().fields
    if isinstance(field, kinds._BitField):
        return abs(field.size), False
    numbers = kinds.ByteField | kinds.ShortField | kinds.IntField | kinds.LongField | kinds._EnumField
    lengths = kinds.FieldLenField | kinds.LenField
    others = kinds.SignedByteField | kinds.SignedShortField | kinds.SignedIntField
    if isinstance(field, numbers | others | lengths) and not isinstance(field, kinds._StrField):
        letter = str(field.fmt)[-1:]
        return (_BITS[letter.upper()], letter.islower()) if letter.upper() in _BITS else None
    return None


def _number_objection(field: Any, value: Value, bits: int, signed: bool) -> str | None:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if isinstance(value, int):
        return None if low <= value <= high else f"a number from {low} to {high}"
    kinds = load_scapy().fields
    if isinstance(value, str) and isinstance(field, kinds.FlagsField):
        letters = list(map(str, field.names))
        given = value.split("+") if any(len(letter) > 1 for letter in letters) else list(value)
        wrong = [letter for letter in given if letter and letter not in letters]
        return f"flags of {' '.join(letters)}" if wrong else None
    names = getattr(field, "s2i", None)
    if isinstance(value, str) and isinstance(names, dict):
        named = [str(name) for name in names]
        return None if value in names else f"a number from {low} to {high}, or a name{nearest(value, named)}"
    if isinstance(value, str) and hasattr(field, "s2i_multi"):
        return None
    return f"a number from {low} to {high}"


def _address_objection(value: Value, version: int) -> str | None:
    """An address or a prefix; never a name, which would have to be asked for."""
    expected = f"an IPv{version} address" + (", as 10.0.0.2" if version == 4 else ", as fd00::2")
    if not isinstance(value, str) or "%" in value:
        return expected
    try:
        return None if ip_network(value, strict=False).version == version else expected
    except ValueError:
        return expected


# ---- what was left out


def _fill(packet: Any, ends: Ends) -> None:
    """Addresses, MACs and ports that nobody gave."""
    for layer in _chain(packet):
        kind = type(layer).__name__
        quoted = kind.startswith("IPerror")  # a packet that came the other way
        source, destination = (ends.destination, ends.source) if quoted else (ends.source, ends.destination)
        match kind:
            case "IP" | "IPerror":
                _default(layer, src=source[0], dst=destination[0])
            case "IPv6" | "IPerror6":
                _default(layer, src=source[1], dst=destination[1])
            case "ARP":
                _default(layer, hwsrc=ends.source_mac, psrc=source[0], pdst=destination[0])
            case "Ether" | "Dot3":
                asks = type(layer.payload).__name__ == "ARP" and layer.payload.op == 1
                _default(layer, src=ends.source_mac, dst="ff:ff:ff:ff:ff:ff" if asks else ends.destination_mac)
            case "TCP" | "UDP" | "SCTP":
                _default(layer, sport=ends.source_port)
                if ends.destination_port is not None:
                    _default(layer, dport=ends.destination_port)


def _default(layer: Any, **values: Any) -> None:
    for name, value in values.items():
        if layer.fields.get(name) is None and name not in layer.overloaded_fields:
            if value is None:
                raise UsageError(f"{type(layer).__name__}: outside the lab, say {name}=")
            layer.setfieldval(name, value)


# ---- captured packets


def _forget_computed(packet: Any, settings: Sequence[Setting], keep: Sequence[tuple[str, str]]) -> None:
    """Lengths and checksums are made anew, but for those that are kept."""
    kept = {(layer.casefold(), field) for layer, field in keep}
    for layer in _chain(packet):
        for field in layer.fields_desc:
            computed = field.name in _COMPUTED and field.default is None
            if computed and (type(layer).__name__.casefold(), field.name) not in kept:
                layer.setfieldval(field.name, None)


def _without_link(packet: Any, named: Sequence[str]) -> Any:
    """The IP packet behind a link header that nobody names."""
    chain = _chain(packet)
    ip = next((n for n, layer in enumerate(chain) if type(layer).__name__ in ("IP", "IPv6")), None)
    before = {type(layer).__name__.casefold() for layer in chain[: ip or 0]}
    if ip is None or before & {name.casefold() for name in named}:
        return packet
    return chain[ip]


# ---- octets


def _built(packet: Any, ends: Ends) -> list[Crafted]:
    try:
        made = [bytes(one) for one in islice(iter(packet), MOST_PACKETS + 1)]
    except Exception as error:
        raise UsageError(f"{type(packet).__name__}: scapy can't build it: {_said(error)}") from None
    if not made:
        raise UsageError("a description that stands for no packet")
    if len(made) > MOST_PACKETS:
        raise UsageError(f"a description that stands for more than {MOST_PACKETS} packets")
    return [_crafted(octets, type(packet).__name__, ends) for octets in made]


def _crafted(octets: bytes, layer: str, ends: Ends) -> Crafted:
    """How it is to be sent: a raw socket if the kernel would change nothing of it, else a packet socket."""
    header = 0 if layer in ("IP", "IPv6") else _ETHERNET_HEADER
    if len(octets) > ends.mtu + header:
        raise UsageError(f"a packet of {len(octets)} octets: {ends.mtu + header} at most expected, as the wire takes")
    if layer in ("Ether", "Dot3"):
        return Crafted(data=octets, to=None, reason="it begins with its link header")
    if layer not in ("IP", "IPv6"):
        raise UsageError(f"a packet that begins with {layer}: Ether(), IP() or IPv6() first expected")
    version = 4 if layer == "IP" else 6
    to = str(ip_address(octets[16:20] if version == 4 else octets[24:40]))
    why = _not_by_raw_socket(octets, version, to, ends)
    if why is None:
        option = "IP_HDRINCL" if version == 4 else "IPPROTO_RAW implies IPV6_HDRINCL"  # raw(7)
        return Crafted(data=octets, to=to, reason=f"{option}: its IP header is the program's")
    if ends.destination_mac is None:
        raise UsageError(f"{why}: outside the lab, begin with Ether(dst=…)")
    scapy = load_scapy()
    kind = 0x0800 if version == 4 else 0x86DD
    link = scapy.layers.l2.Ether(src=ends.source_mac, dst=ends.destination_mac, type=kind)
    return Crafted(data=bytes(link) + octets, to=None, reason=why)


def _not_by_raw_socket(octets: bytes, version: int, to: str, ends: Ends) -> str | None:
    """What a raw socket would do to it, or where it would not take it; None: it leaves as it is (raw(7))."""
    if version == 4:
        wrong = next((check for check in checks(octets, 101) if check.layer == "IP" and not check.right), None)
        if octets[0] >> 4 != 4 or (octets[0] & 15) < 5 or (octets[0] & 15) * 4 > len(octets):
            return "a raw socket refuses such a header (EINVAL)"
        if wrong is not None:
            return f"a raw socket's kernel would put the {wrong.name} right"
        if octets[4:6] == b"\0\0" or octets[12:16] == bytes(4):
            return "a raw socket's kernel would fill in the identification and the source where they are zero"
        if octets[12] == 127:
            return "a raw socket's kernel would ask by ARP in the name of its source, a loopback address, in vain"
    if ends.neighbours is not None and to not in ends.neighbours:
        return f"no route of the lab's leads to {to}: framed for the server's MAC address"
    return None
