"""SCTP's notifications, in words and as bytes. What a kernel itself writes is looked at in tests/sctp/."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_names, sctp_notification
from rawlab.wire.sctp_notification import (
    adaptation_indication,
    assoc_change,
    partial_delivery,
    peer_addr_change,
    remote_error,
    send_failed,
    sender_dry,
    shutdown_event,
    words,
)

PEER, PEER6 = Endpoint("10.0.0.2", 7), Endpoint("fd00::2", 7)
ABORT = bytes.fromhex("000c 0004")  # a cause: User-Initiated Abort


@pytest.mark.parametrize(
    ("data", "size", "told"),
    [
        (
            assoc_change("SCTP_COMM_UP", 0, 10, 5, 1),
            20,
            "SCTP_ASSOC_CHANGE: SCTP_COMM_UP, 10 streams out, 5 in, assoc 1",
        ),
        (
            assoc_change("SCTP_COMM_LOST", 12, 0, 0, 3, ABORT),
            24,
            "SCTP_ASSOC_CHANGE: SCTP_COMM_LOST, error 12, assoc 3",
        ),
        (assoc_change("SCTP_SHUTDOWN_COMP", 0, 0, 0, 3), 20, "SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP, assoc 3"),
        (
            peer_addr_change(PEER, "SCTP_ADDR_CONFIRMED", 0, 1),
            148,
            "SCTP_PEER_ADDR_CHANGE: SCTP_ADDR_CONFIRMED, 10.0.0.2:7, assoc 1",
        ),
        (
            peer_addr_change(PEER6, "SCTP_ADDR_UNREACHABLE", 1, 1),
            148,
            "SCTP_PEER_ADDR_CHANGE: SCTP_ADDR_UNREACHABLE, SCTP_RECEIVED_SACK, [fd00::2]:7, assoc 1",
        ),
        (remote_error(1, b"\0\1\0\4", 2), 20, "SCTP_REMOTE_ERROR: cause 1, assoc 2"),
        (
            send_failed(b"hello", SndRcvInfo(stream=2), 0, 4, sent=False),
            53,
            "SCTP_SEND_FAILED: 5 bytes of stream 2 never sent, error 0, assoc 4",
        ),
        (
            send_failed(b"", SndRcvInfo(stream=2), 12, 4, sent=True),
            48,
            "SCTP_SEND_FAILED: 0 bytes of stream 2 sent, not acknowledged, error 12, assoc 4",
        ),
        (shutdown_event(9), 12, "SCTP_SHUTDOWN_EVENT: assoc 9"),
        (
            partial_delivery(0, 1, 2, 3),
            24,
            "SCTP_PARTIAL_DELIVERY_EVENT: SCTP_PARTIAL_DELIVERY_ABORTED, stream 2, sequence 3, assoc 1",
        ),
        (adaptation_indication(7, 1), 16, "SCTP_ADAPTATION_INDICATION: indication 7, assoc 1"),
        (sender_dry(1), 12, "SCTP_SENDER_DRY_EVENT: assoc 1"),
    ],
)
def test_each_in_words(data: bytes, size: int, told: str) -> None:
    """The struct has its size of linux/sctp.h, and says it itself (sn_length)."""
    assert words(data) == told
    assert (len(data), int.from_bytes(data[4:8], "little")) == (size, size)


def test_as_linux_wrote_them() -> None:
    """Octets of a Linux 6.1 kernel: an association that is up, one that the peer aborted ('why not')."""
    up = bytes.fromhex("01800000 14000000 0000 0000 0a00 0a00 08000000")
    assert assoc_change("SCTP_COMM_UP", 0, 10, 10, 8) == up
    lost = bytes.fromhex("01800000 1f000000 0100 000c 0000 0000 0c000000 000c000b") + b"why not"
    assert assoc_change("SCTP_COMM_LOST", 12, 0, 0, 12, lost[20:]) == lost


@given(st.binary(max_size=160), st.sampled_from([0, *sctp_names.NOTIFICATIONS.values()]))
def test_any_octets_are_told_or_not(data: bytes, number: int) -> None:
    """Nothing is raised, whatever follows the type."""
    told = words(number.to_bytes(2, "little") + data)
    assert told is None or told.startswith("SCTP_")


@pytest.mark.parametrize("data", [b"", b"\1\x80", b"hello, world", shutdown_event(1)[:11], b"\x01\x00" + bytes(30)])
def test_what_is_none_is_not_told(data: bytes) -> None:
    """Data, and what was cut short."""
    assert words(data) is None


def test_every_type_has_a_name() -> None:
    """One that is not read further is told by it alone."""
    for name, number in sctp_names.NOTIFICATIONS.items():
        assert str(words(number.to_bytes(2, "little") + bytes(200))).startswith(name)
    assert words(sctp_names.NOTIFICATIONS["SCTP_STREAM_RESET_EVENT"].to_bytes(2, "little") + bytes(14)) == (
        "SCTP_STREAM_RESET_EVENT"
    )
    assert sctp_notification.words(b"\x0e\x80" + bytes(14)) is None
