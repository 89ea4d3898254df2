"""Events of an association as notifications (RFC 6458 section 6.1), for a socket that has subscribed to them."""

from __future__ import annotations

from rawlab.endpoints.sctp import Down, Event, PathChanged, PeerShutdown, RemoteError, SendFailed, Up
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_notification as notification_of

DATA_IO, ASSOCIATION, ADDRESS, SEND_FAILURE, PEER_ERROR, SHUTDOWN = range(6)
"""Members of struct sctp_event_subscribe."""
_FAILED_THRESHOLD, _HEARTBEAT_SUCCESS = 0, 2  # enum sctp_sn_error


def notification(event: Event, subscribed: tuple[int, ...], *, was_up: bool) -> bytes | None:
    """The notification's octets; None where there is none, or nobody wants it. `was_up`: before the event."""
    id = event.association.id
    match event:
        case Up() if subscribed[ASSOCIATION]:
            state = "SCTP_RESTART" if event.restarted else "SCTP_COMM_UP"
            return notification_of.assoc_change(state, 0, event.streams_out, event.streams_in, id)
        case Down() if subscribed[ASSOCIATION]:
            return notification_of.assoc_change(_end(event, was_up), 0, 0, 0, id)
        case PathChanged() if subscribed[ADDRESS]:
            address = Endpoint(event.address, event.association.peer.port)
            state = "SCTP_ADDR_AVAILABLE" if event.reachable else "SCTP_ADDR_UNREACHABLE"
            why = _HEARTBEAT_SUCCESS if event.reachable else _FAILED_THRESHOLD
            return notification_of.peer_addr_change(address, state, why, id)
        case SendFailed() if subscribed[SEND_FAILURE]:
            info = SndRcvInfo(stream=event.stream, ppid=event.ppid, assoc_id=id)
            return notification_of.send_failed(event.data, info, 0, id, sent=event.sent)
        case RemoteError() if subscribed[PEER_ERROR]:
            return notification_of.remote_error(event.cause, event.value, id)
        case PeerShutdown() if subscribed[SHUTDOWN]:
            return notification_of.shutdown_event(id)
    return None


def _end(event: Down, was_up: bool) -> str:
    """sac_state of an association's end."""
    if event.errno is None:
        return "SCTP_SHUTDOWN_COMP"
    return "SCTP_COMM_LOST" if was_up else "SCTP_CANT_STR_ASSOC"
