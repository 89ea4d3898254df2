"""A socket's options: setsockopt(2) and getsockopt(2) by name, their structs as tuples of their members in C's order.

RFC 6458 section 8; a member that is 0 leaves what it stands for as it is, where Linux has it so. Options that belong
to an association (their first member is an assoc_id) are the socket's own default as long as there is none. Octets do
not belong here: `live.sctp_api` has the structs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rawlab.endpoints.sctp import Association, PathStatus, SctpError, Settings
from rawlab.endpoints.sockets.sctp.socket import Socket
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint
from rawlab.model.event import Value

_MS = 1_000_000
Values = tuple[Value, ...]


def setsockopt(socket: Socket, optname: str, value: Values) -> Wait:
    """Sets an option; sctp_connectx waits as connect does."""
    if optname == "SCTP_SOCKOPT_CONNECTX":
        return (yield from socket.connect(_addresses(value)))
    if optname not in _SET:
        raise SctpError("ENOPROTOOPT", optname)
    try:
        _SET[optname](socket, *value)
    except TypeError:  # more members than the struct has, or fewer
        raise SctpError("EINVAL", optname) from None
    socket.configure()
    return Answer()


def getsockopt(socket: Socket, optname: str, asked: Values) -> Answer:
    """An option's value; `asked`: what the struct held before."""
    if optname == "SCTP_SOCKOPT_PEELOFF":
        return socket.peel_off(_association(socket, asked[0]))
    if optname not in _GET:
        raise SctpError("ENOPROTOOPT", optname)
    found = _GET[optname](socket, *asked)
    return Answer(value=found if isinstance(found, tuple) else (found,))


def _addresses(value: Values) -> tuple[Endpoint, ...]:
    ends = tuple(end for end in value if isinstance(end, Endpoint))
    if not ends or len(ends) != len(value):
        raise SctpError("EINVAL", "addresses expected")
    return ends


def _maybe(socket: Socket, id: object) -> Association | None:
    """The association that an assoc_id names; a one-to-one socket's own, whatever it says."""
    if not socket.one_to_many:
        return socket.association
    if id and id not in socket.associations:
        raise SctpError("EINVAL", f"assoc_id {id}")
    return socket.associations.get(id) if isinstance(id, int) else None


def _association(socket: Socket, id: object) -> Association:
    found = _maybe(socket, id)
    if found is None:
        raise SctpError("EINVAL", "there is no association")
    return found


def _settings(socket: Socket, id: object) -> Settings:
    association = _maybe(socket, id)
    return association.settings if association else socket.settings


def _change(socket: Socket, id: object, **changes: Any) -> None:
    """Changes settings of an association, or of those to come; None leaves one as it is."""
    given = {name: value for name, value in changes.items() if value is not None}
    association = _maybe(socket, id)
    if association is None:
        socket.settings = replace(socket.settings, **given)
        return
    association.settings = replace(association.settings, **given)
    for path in association.routes.paths:
        path.settings = association.settings


def _ns(milliseconds: int) -> int | None:
    return milliseconds * _MS if milliseconds else None


# ---------------------------------------------------------------------------------------------- SOL_SOCKET


def _set_linger(socket: Socket, on: int, seconds: int = 0) -> None:
    socket.options.linger = on, seconds


def _set_receive_buffer(socket: Socket, octets: int) -> None:
    socket.settings = replace(socket.settings, receive_window=max(octets, 1500))


def _set_send_buffer(socket: Socket, octets: int) -> None:
    socket.settings = replace(socket.settings, send_buffer=max(2 * octets, 4608))
    for association in socket.associations.values():
        association.settings = replace(association.settings, send_buffer=socket.settings.send_buffer)


def _set_reuse(socket: Socket, on: int) -> None:
    socket.options.reuse = int(on != 0)


def _take_error(socket: Socket, *_: Value) -> str:
    error, socket.error = socket.error, None
    return error or "0"


# ------------------------------------------------------------------------------------------------ SOL_SCTP


def _set_rto(socket: Socket, id: int = 0, initial: int = 0, most: int = 0, least: int = 0) -> None:
    now = _settings(socket, id)
    highest, lowest = _ns(most) or now.rto_max, _ns(least) or now.rto_min
    if lowest > highest:
        raise SctpError("EINVAL", "RTO.Min is above RTO.Max")
    _change(socket, id, rto_initial=_ns(initial), rto_max=highest, rto_min=lowest)


def _get_rto(socket: Socket, id: int = 0, *_: Value) -> Values:
    now = _settings(socket, id)
    return id, now.rto_initial // _MS, now.rto_max // _MS, now.rto_min // _MS


def _set_association(socket: Socket, id: int = 0, most: int = 0, *rest: int) -> None:
    _, _, _, cookie_life = (*rest, *(0,) * (4 - len(rest)))
    _change(socket, id, association_max_retrans=most or None, cookie_life=_ns(cookie_life))


def _get_association(socket: Socket, id: int = 0, *_: Value) -> Values:
    association, now = _maybe(socket, id), _settings(socket, id)
    paths, window = (len(association.paths), association.peer_rwnd) if association else (0, 0)
    return id, now.association_max_retrans, paths, window, now.receive_window, now.cookie_life // _MS


def _set_init(socket: Socket, streams: int = 0, most_in: int = 0, attempts: int = 0, longest: int = 0) -> None:
    options = socket.options
    options.streams = streams or options.streams
    options.max_streams_in = most_in or options.max_streams_in
    options.max_attempts = attempts or options.max_attempts
    if most_in:
        socket.settings = replace(socket.settings, streams_in=most_in)
    if longest:
        socket.settings = replace(socket.settings, rto_max=longest * _MS)


def _get_init(socket: Socket, *_: Value) -> Values:
    options, now = socket.options, socket.settings
    attempts = options.max_attempts or now.max_init_retransmits
    return options.streams, options.max_streams_in or now.streams_in, attempts, now.rto_max // _MS


def _set_events(socket: Socket, *members: int) -> None:
    known = socket.options.events
    socket.options.events = (*members, *known[len(members) :])


def _set_nodelay(socket: Socket, on: int) -> None:
    socket.options.nodelay = int(on != 0)


def _set_whole(socket: Socket, on: int) -> None:
    socket.options.whole = int(on != 0)


def _set_path(
    socket: Socket,
    id: int = 0,
    address: Endpoint | None = None,
    interval: int = 0,
    retransmissions: int = 0,
    mtu: int = 0,
    sack_delay: int = 0,
    flags: str = "0",
    *_: Value,
) -> None:
    words = str(flags).split("|")
    on, off = "SPP_HB_ENABLE" in words, "SPP_HB_DISABLE" in words
    association = _maybe(socket, id)
    if on and off:
        raise SctpError("EINVAL", "heartbeats on and off")
    if address is not None and _is_any(address):
        address = None
    if address is not None and (association is None or address.address not in association.peer_addresses):
        raise SctpError("EINVAL", "no such path")
    if "SPP_HB_DEMAND" in words and association is None:
        raise SctpError("EINVAL", "no association")
    _change(
        socket,
        id,
        path_max_retrans=retransmissions or None,
        mtu=mtu or None,
        sack_delay=_ns(sack_delay) if "SPP_SACKDELAY_ENABLE" in words else None,
    )
    milliseconds = 0 if off else interval if on and interval else None
    path = address.address if address else None
    if association is None:
        if milliseconds is not None:
            socket.options.hb_interval_ms = milliseconds
        return
    if milliseconds is not None:
        association.set_heartbeat(milliseconds * _MS, path)
    if "SPP_HB_DEMAND" in words:
        association.heartbeat(socket.sockets.now_ns, path)


def _get_path_parameters(socket: Socket, id: int = 0, address: Endpoint | None = None, *_: Value) -> Values:
    association, now = _maybe(socket, id), _settings(socket, id)
    interval = now.hb_interval if socket.options.hb_interval_ms is None else socket.options.hb_interval_ms * _MS
    if association is not None:
        path = association.routes.by_address.get(address.address) if address else association.routes.primary
        if path is None:
            raise SctpError("EINVAL", "no such path")
        interval = path.hb_interval
    beats = "SPP_HB_ENABLE" if interval else "SPP_HB_DISABLE"
    flags = f"{beats}|SPP_PMTUD_DISABLE|SPP_SACKDELAY_ENABLE"
    return id, address, interval // _MS, now.path_max_retrans, now.mtu, now.sack_delay // _MS, flags


def _is_any(end: Endpoint) -> bool:
    return end.address in ("0.0.0.0", "::")


def _set_sack(socket: Socket, id: int = 0, delay: int = 0, frequency: int = 0) -> None:
    _change(socket, id, sack_delay=_ns(delay), sack_frequency=frequency or None)


def _get_sack(socket: Socket, id: int = 0, *_: Value) -> Values:
    now = _settings(socket, id)
    return id, now.sack_delay // _MS, now.sack_frequency


def _set_segment(socket: Socket, id: int = 0, value: int | None = None) -> None:
    octets = id if value is None else value  # an int alone is the value (RFC 6458 section 8.1.16)
    socket.options.segment = octets
    overhead = (40 if socket.family == 6 else 20) + 12 + 16  # IP header, common header, DATA's
    _change(socket, 0 if value is None else id, mtu=octets + overhead)


def _get_segment(socket: Socket, id: int = 0, *_: Value) -> Values:
    return id, socket.options.segment


def _set_burst(socket: Socket, id: int = 0, value: int | None = None) -> None:
    packets = id if value is None else value
    _change(socket, 0 if value is None else id, max_burst=packets or None)


def _get_burst(socket: Socket, id: int = 0, *_: Value) -> Values:
    return id, _settings(socket, id).max_burst


def _set_autoclose(socket: Socket, seconds: int) -> None:
    raise SctpError("EOPNOTSUPP", "of one-to-many sockets only, and not of ours")


def _set_primary(socket: Socket, id: int, address: Endpoint) -> None:
    association = _association(socket, id)
    if address.address not in association.peer_addresses:
        raise SctpError("EINVAL", "no such path")
    association.set_primary(address.address)


def _add_addresses(socket: Socket, *ends: Endpoint) -> None:
    """sctp_bindx(SCTP_BINDX_ADD_ADDR): for the associations to come."""
    added = _addresses(ends)
    if (endpoint := socket.endpoint) is None:
        socket.open(added[0].port, tuple(end.address for end in added))
    else:
        host = endpoint.host
        fresh = [end.address for end in added if end.address not in endpoint.addresses]
        if any(end.port not in (0, endpoint.port) for end in added):
            raise SctpError("EINVAL", "another port")
        if any(address not in host.addresses for address in fresh):
            raise SctpError("EADDRNOTAVAIL", "not this host's")
        if any((address, endpoint.port) in host.endpoints for address in fresh):
            raise SctpError("EADDRINUSE", "another socket's")
        endpoint.addresses = (*endpoint.addresses, *fresh)
        host.endpoints.update({(address, endpoint.port): endpoint for address in fresh})
    socket.bound = Endpoint(added[-1].address, socket.port)


def _remove_addresses(socket: Socket, *ends: Endpoint) -> None:
    """sctp_bindx(SCTP_BINDX_REM_ADDR): for the associations to come."""
    removed = {end.address for end in _addresses(ends)}
    endpoint = socket.endpoint
    if endpoint is None or not removed <= set(endpoint.addresses):
        raise SctpError("EINVAL", "not bound to it")
    if removed == set(endpoint.addresses):
        raise SctpError("EBUSY", "the last one")
    endpoint.addresses = tuple(address for address in endpoint.addresses if address not in removed)
    for address in removed:
        del endpoint.host.endpoints[address, endpoint.port]


def _path(association: Association, path: PathStatus) -> Values:
    state = "SCTP_ACTIVE" if path.active else "SCTP_INACTIVE"
    name = state if path.confirmed else "SCTP_UNCONFIRMED"
    address = Endpoint(path.address, association.peer.port)
    return association.id, address, name, path.cwnd, (path.srtt or 0) // _MS, path.rto // _MS, path.mtu


def _get_status(socket: Socket, id: int = 0, *_: Value) -> Values:
    association = _association(socket, id)
    primary = next(path for path in association.paths if path.primary)
    return (
        association.id,
        f"SCTP_{association.state.replace('-', '_')}",
        association.peer_rwnd,
        association.unacknowledged,
        association.pending,
        association.streams_in,
        association.streams_out,
        association.fragmentation_point,
        *_path(association, primary),
    )


def _get_path(socket: Socket, id: int = 0, address: Endpoint | None = None, *_: Value) -> Values:
    association = _association(socket, id)
    for path in association.paths:
        if address is not None and path.address == address.address:
            return _path(association, path)
    raise SctpError("EINVAL", "no such path")


def _ends(port: int, addresses: tuple[str, ...]) -> Values:
    return tuple(Endpoint(address, port) for address in addresses)


def _get_peers(socket: Socket, id: int = 0, *_: Value) -> Values:
    association = _association(socket, id)
    return id, len(association.peer_addresses), _ends(association.peer.port, tuple(association.peer_addresses))


def _get_locals(socket: Socket, id: int = 0, *_: Value) -> Values:
    association = _maybe(socket, id)
    mine = association.local_addresses if association else socket.endpoint.addresses if socket.endpoint else ()
    return id, len(mine), _ends(socket.port, tuple(mine))


def _get_ids(socket: Socket, *_: Value) -> Values:
    return len(socket.associations), tuple(socket.associations)


_SET: dict[str, Callable[..., None]] = {
    "SO_LINGER": _set_linger,
    "SO_RCVBUF": _set_receive_buffer,
    "SO_SNDBUF": _set_send_buffer,
    "SO_REUSEADDR": _set_reuse,
    "SCTP_RTOINFO": _set_rto,
    "SCTP_ASSOCINFO": _set_association,
    "SCTP_INITMSG": _set_init,
    "SCTP_NODELAY": _set_nodelay,
    "SCTP_DISABLE_FRAGMENTS": _set_whole,
    "SCTP_EVENTS": _set_events,
    "SCTP_PEER_ADDR_PARAMS": _set_path,
    "SCTP_DELAYED_SACK": _set_sack,
    "SCTP_MAXSEG": _set_segment,
    "SCTP_MAX_BURST": _set_burst,
    "SCTP_AUTOCLOSE": _set_autoclose,
    "SCTP_PRIMARY_ADDR": _set_primary,
    "SCTP_SOCKOPT_BINDX_ADD": _add_addresses,
    "SCTP_SOCKOPT_BINDX_REM": _remove_addresses,
}
_GET: dict[str, Callable[..., Value]] = {
    "SO_LINGER": lambda socket, *_: socket.options.linger,
    "SO_RCVBUF": lambda socket, *_: 2 * socket.settings.receive_window,
    "SO_SNDBUF": lambda socket, *_: socket.settings.send_buffer,
    "SO_REUSEADDR": lambda socket, *_: socket.options.reuse,
    "SO_ERROR": _take_error,
    "SCTP_RTOINFO": _get_rto,
    "SCTP_ASSOCINFO": _get_association,
    "SCTP_INITMSG": _get_init,
    "SCTP_NODELAY": lambda socket, *_: socket.options.nodelay,
    "SCTP_DISABLE_FRAGMENTS": lambda socket, *_: socket.options.whole,
    "SCTP_EVENTS": lambda socket, *_: socket.options.events,
    "SCTP_DELAYED_SACK": _get_sack,
    "SCTP_MAXSEG": _get_segment,
    "SCTP_MAX_BURST": _get_burst,
    "SCTP_PEER_ADDR_PARAMS": _get_path_parameters,
    "SCTP_STATUS": _get_status,
    "SCTP_GET_PEER_ADDR_INFO": _get_path,
    "SCTP_GET_PEER_ADDRS": _get_peers,
    "SCTP_GET_LOCAL_ADDRS": _get_locals,
    "SCTP_GET_ASSOC_NUMBER": lambda socket, *_: len(socket.associations),
    "SCTP_GET_ASSOC_ID_LIST": _get_ids,
}
