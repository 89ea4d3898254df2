"""The labs: what students read. One module a lab, one program a host, one system call a line."""

from __future__ import annotations

from importlib import import_module

from rawlab.model.lab import Lab, Wire

NAMES = (
    "tcp-echo",
    "tcp-concurrent",
    "tcp-bind",
    "tcp-backlog",
    "tcp-refused",
    "tcp-filtered",
    "tcp-stream",
    "tcp-peek",
    "tcp-oob",
    "tcp-close",
    "tcp-half-close",
    "tcp-simultaneous-close",
    "tcp-reset",
    "tcp-nonblocking",
    "tcp-window",
    "udp-echo",
    "udp-simple",
    "udp-connect",
    "udp-flags",
    "udp-large",
    "sctp-echo",
    "sctp-many",
    "sctp-streams",
    "sctp-messages",
    "sctp-unordered",
    "sctp-abort",
    "sctp-refused",
    "sctp-filtered",
    "sctp-heartbeat",
    "sctp-multihome",
    "sctp-shutdown",
    "raw-ping",
    "raw-udp",
    "raw-sniff",
    "raw-protocol",
    "raw-syn",
    "raw-tcp",
    "raw-handshake",
    "raw-fragments",
    "raw-icmp-error",
    "raw-traceroute",
)
_PRIVATE = ("FAULTS", "PATHS", "NEIGHBOURS_KNOWN", "ROUTER", "OWN_TCP")
"""What a wire has that loopback has not."""


def lab(name: str) -> Lab:
    """The lab of that name; what it shows, and what to look at, is its docstring. Raises KeyError."""
    if name not in NAMES:
        raise KeyError(name)
    module = import_module(f"rawlab.labs.{name.replace('-', '_')}")
    shows, _, look_at = " ".join((module.__doc__ or "").split()).partition(". ")
    return Lab(
        name=name,
        shows=shows + ".",
        look_at=look_at,
        server=module.server,
        client=module.client,
        port=module.PORT,
        wire=Wire(
            delay_ms=getattr(module, "DELAY_MS", 0),
            faults=getattr(module, "FAULTS", ()),
            paths=getattr(module, "PATHS", 1),
            router=getattr(module, "ROUTER", False),
            neighbours_known=getattr(module, "NEIGHBOURS_KNOWN", False),
        ),
        ipv6=getattr(module, "IPV6", True),
        most_octets=getattr(module, "MOST_OCTETS", None),
        interactive=getattr(module, "INTERACTIVE", False),
        own_tcp=getattr(module, "OWN_TCP", ()),
        loopback=getattr(module, "LOOPBACK", not any(hasattr(module, name) for name in _PRIVATE)),
    )
