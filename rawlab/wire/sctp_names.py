"""The constants of SCTP's socket API by their C names, as data (include/uapi/linux/sctp.h, RFC 6458).

The numbers are Linux's, which differ from other systems'. `live.libc` finds them here, since Python's socket module has
none of them; the user-space stack and the notifications' decoder speak of them by these names. What stands in packets
does not live here: `wire.symbols`.
"""

from __future__ import annotations

from collections.abc import Mapping

OPTIONS: Mapping[str, int] = {
    "SCTP_RTOINFO": 0,
    "SCTP_ASSOCINFO": 1,
    "SCTP_INITMSG": 2,
    "SCTP_NODELAY": 3,
    "SCTP_AUTOCLOSE": 4,
    "SCTP_SET_PEER_PRIMARY_ADDR": 5,
    "SCTP_PRIMARY_ADDR": 6,
    "SCTP_DISABLE_FRAGMENTS": 8,
    "SCTP_PEER_ADDR_PARAMS": 9,
    "SCTP_EVENTS": 11,
    "SCTP_MAXSEG": 13,
    "SCTP_STATUS": 14,
    "SCTP_GET_PEER_ADDR_INFO": 15,
    "SCTP_DELAYED_SACK": 16,
    "SCTP_FRAGMENT_INTERLEAVE": 18,
    "SCTP_PARTIAL_DELIVERY_POINT": 19,
    "SCTP_MAX_BURST": 20,
    "SCTP_GET_ASSOC_NUMBER": 28,
    "SCTP_GET_ASSOC_ID_LIST": 29,
    "SCTP_SOCKOPT_BINDX_ADD": 100,
    "SCTP_SOCKOPT_BINDX_REM": 101,
    "SCTP_SOCKOPT_PEELOFF": 102,
    "SCTP_GET_PEER_ADDRS": 108,
    "SCTP_GET_LOCAL_ADDRS": 109,
    "SCTP_SOCKOPT_CONNECTX": 110,
}
"""Socket options of the level SOL_SCTP."""

SNDRCV_FLAGS: Mapping[str, int] = {
    "SCTP_UNORDERED": 0x1,
    "SCTP_ADDR_OVER": 0x2,
    "SCTP_ABORT": 0x4,
    "SCTP_SACK_IMMEDIATELY": 0x8,
    "SCTP_SENDALL": 0x40,
    "SCTP_EOF": 0x200,
}
"""sinfo_flags of struct sctp_sndrcvinfo."""

PATH_FLAGS: Mapping[str, int] = {
    "SPP_HB_ENABLE": 0x1,
    "SPP_HB_DISABLE": 0x2,
    "SPP_HB_DEMAND": 0x4,
    "SPP_PMTUD_ENABLE": 0x8,
    "SPP_PMTUD_DISABLE": 0x10,
    "SPP_SACKDELAY_ENABLE": 0x20,
    "SPP_SACKDELAY_DISABLE": 0x40,
    "SPP_HB_TIME_IS_ZERO": 0x80,
    "SPP_IPV6_FLOWLABEL": 0x100,
    "SPP_DSCP": 0x200,
}
"""spp_flags of SCTP_PEER_ADDR_PARAMS."""

STATES: Mapping[str, int] = {
    "SCTP_EMPTY": 0,
    "SCTP_CLOSED": 1,
    "SCTP_COOKIE_WAIT": 2,
    "SCTP_COOKIE_ECHOED": 3,
    "SCTP_ESTABLISHED": 4,
    "SCTP_SHUTDOWN_PENDING": 5,
    "SCTP_SHUTDOWN_SENT": 6,
    "SCTP_SHUTDOWN_RECEIVED": 7,
    "SCTP_SHUTDOWN_ACK_SENT": 8,
}
"""sstat_state of SCTP_STATUS."""

PATH_STATES: Mapping[str, int] = {
    "SCTP_INACTIVE": 0,
    "SCTP_PF": 1,
    "SCTP_ACTIVE": 2,
    "SCTP_UNCONFIRMED": 3,
    "SCTP_UNKNOWN": 0xFFFF,
}
"""spinfo_state of SCTP_GET_PEER_ADDR_INFO, and of the primary path in SCTP_STATUS."""

NOTIFICATIONS: Mapping[str, int] = {
    "SCTP_ASSOC_CHANGE": 0x8001,
    "SCTP_PEER_ADDR_CHANGE": 0x8002,
    "SCTP_SEND_FAILED": 0x8003,
    "SCTP_REMOTE_ERROR": 0x8004,
    "SCTP_SHUTDOWN_EVENT": 0x8005,
    "SCTP_PARTIAL_DELIVERY_EVENT": 0x8006,
    "SCTP_ADAPTATION_INDICATION": 0x8007,
    "SCTP_AUTHENTICATION_EVENT": 0x8008,
    "SCTP_SENDER_DRY_EVENT": 0x8009,
    "SCTP_STREAM_RESET_EVENT": 0x800A,
    "SCTP_ASSOC_RESET_EVENT": 0x800B,
    "SCTP_STREAM_CHANGE_EVENT": 0x800C,
    "SCTP_SEND_FAILED_EVENT": 0x800D,
}
"""sn_type of union sctp_notification."""

ASSOC_CHANGES: Mapping[str, int] = {
    "SCTP_COMM_UP": 0,
    "SCTP_COMM_LOST": 1,
    "SCTP_RESTART": 2,
    "SCTP_SHUTDOWN_COMP": 3,
    "SCTP_CANT_STR_ASSOC": 4,
}
"""sac_state of SCTP_ASSOC_CHANGE."""

ADDRESS_CHANGES: Mapping[str, int] = {
    "SCTP_ADDR_AVAILABLE": 0,
    "SCTP_ADDR_UNREACHABLE": 1,
    "SCTP_ADDR_REMOVED": 2,
    "SCTP_ADDR_ADDED": 3,
    "SCTP_ADDR_MADE_PRIM": 4,
    "SCTP_ADDR_CONFIRMED": 5,
    "SCTP_ADDR_POTENTIALLY_FAILED": 6,
}
"""spc_state of SCTP_PEER_ADDR_CHANGE."""

SN_ERRORS: Mapping[str, int] = {
    "SCTP_FAILED_THRESHOLD": 0,
    "SCTP_RECEIVED_SACK": 1,
    "SCTP_HEARTBEAT_SUCCESS": 2,
    "SCTP_RESPONSE_TO_USER_REQ": 3,
    "SCTP_INTERNAL_ERROR": 4,
    "SCTP_SHUTDOWN_GUARD_EXPIRES": 5,
    "SCTP_PEER_FAULTY": 6,
}
"""spc_error of SCTP_PEER_ADDR_CHANGE."""

NUMBERS: Mapping[str, int] = {
    "SOL_SCTP": 132,
    "MSG_NOTIFICATION": 0x8000,
    "SCTP_SNDRCV": 1,
    **OPTIONS,
    **SNDRCV_FLAGS,
    **PATH_FLAGS,
    **STATES,
    **PATH_STATES,
    **NOTIFICATIONS,
    **ASSOC_CHANGES,
    **ADDRESS_CHANGES,
}
"""All of them."""


def name(number: int, names: Mapping[str, int]) -> str:
    """The name of a number; one without a name as itself."""
    return next((name for name, value in names.items() if value == number), str(number))


def flags(number: int, names: Mapping[str, int]) -> str:
    """The names of the bits that are set, joined with '|'; bits without a name as a number; '0' for none."""
    found = [name for name, bit in names.items() if number & bit]
    rest = number & ~sum(names[name] for name in found)
    return "|".join([*found, *([hex(rest)] if rest else [])]) or "0"


def number(words: str, names: Mapping[str, int]) -> int:
    """What `name` or `flags` wrote. Raises ValueError."""
    total = 0
    for word in words.split("|"):
        try:
            total |= names[word] if word in names else int(word, 0)
        except ValueError:
            raise ValueError(f"{word}: expected one of {', '.join(names)}, or a number") from None
    return total
