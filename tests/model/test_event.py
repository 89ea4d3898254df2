"""Calls and frames: what can be asked of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Frame, Value


def call(name: str, *args: tuple[str, Value], result: int | None = 0) -> Call:
    return Call(host="client", pid=1, name=name, args=args, result=result, entered_ns=1, returned_ns=2)


def test_an_argument_by_its_name() -> None:
    """By the man page's name; one that the call has not raises KeyError."""
    connect = call("connect", ("sockfd", 3), ("addr", Endpoint("10.0.0.2", 7)))
    assert connect.arg("addr") == Endpoint("10.0.0.2", 7)
    with pytest.raises(KeyError):
        connect.arg("backlog")


@pytest.mark.parametrize(
    ("one", "data"),
    [
        (call("write", ("fd", 3), ("buf", b"hello"), ("count", 5)), b"hello"),
        (call("read", ("fd", 3), ("buf", b""), ("count", 5)), b""),
        (call("read", ("fd", 3), ("buf", None), ("count", 5)), None),
        (call("sendmsg", ("sockfd", 3), ("msg_name", None), ("msg_iov", (b"a", b"", b"bc"))), b"abc"),
        (call("poll", ("fds", ((3, "POLLIN"),)), ("timeout", 5)), None),
        (call("recvmsg", ("sockfd", 3), ("msg_iov", ())), None),
        (call("close", ("fd", 3)), None),
    ],
)
def test_the_octets_that_a_call_moves(one: Call, data: bytes | None) -> None:
    """One buffer, or several one after the other; None where there is none."""
    assert one.data == data


@pytest.mark.parametrize(
    ("one", "fd"),
    [
        (call("read", ("fd", 0), ("buf", b""), ("count", 5)), 0),
        (call("listen", ("sockfd", 3), ("backlog", 10)), 3),
        (call("socket", ("domain", "AF_INET"), result=4), 4),
        (call("socket", ("domain", "AF_INET"), result=0), 0),
        (call("socket", ("domain", "AF_INET"), result=-1), None),
        (call("fork", result=12), None),
        (call("exit_group", ("status", 3), result=None), None),
        (call("poll", ("fds", ((3, "POLLIN"),)), ("fd", 9)), None),
    ],
)
def test_the_descriptor_that_a_call_acts_on(one: Call, fd: int | None) -> None:
    """Its first argument if that is one, or what socket made."""
    assert one.fd == fd


def test_events_do_not_change() -> None:
    """What was recorded stays as it was; what is none of a frame's fields can't be set either."""
    frame = Frame(number=1, at_ns=5, point=0, outgoing=None, data=b"", length=0)
    with pytest.raises(FrozenInstanceError):
        frame.at_ns = 6  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        frame.colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        call("close", ("fd", 3)).result = 1  # type: ignore[misc]
