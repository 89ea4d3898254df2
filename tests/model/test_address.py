"""Endpoints and flows."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.address import Endpoint, Flow

ADDRESSES = st.ip_addresses().map(str)
ENDPOINTS = st.builds(Endpoint, ADDRESSES, st.integers(0, 0xFFFF))


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint("10.0.0.2", 7), "10.0.0.2:7"),
        (Endpoint("fd00::2", 7), "[fd00::2]:7"),
        (Endpoint("::", 0), "[::]:0"),
        (Endpoint("::ffff:10.0.0.2", 65535), "[::ffff:10.0.0.2]:65535"),
    ],
)
def test_an_endpoint_is_written_as_in_an_address_bar(endpoint: Endpoint, text: str) -> None:
    """An IPv6 address stands in brackets."""
    assert str(endpoint) == text
    assert Endpoint.parse(text) == endpoint


@given(ENDPOINTS)
def test_what_was_written_is_read(endpoint: Endpoint) -> None:
    """For every address of either family and every port."""
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.2",
        "10.0.0.2:",
        "10.0.0.2:x",
        "10.0.0.2:65536",
        "10.0.0.2:-1",
        "fd00::2:7",
        "[10.0.0.2]:7",
        "[fd00::2]",
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    """The message says what was expected."""
    with pytest.raises(ValueError, match=r"expected address:port|stands in brackets"):
        Endpoint.parse(text)


@given(ENDPOINTS, ENDPOINTS)
def test_both_directions_are_one_conversation(one: Endpoint, other: Endpoint) -> None:
    """A flow's reverse is another flow of the same conversation, and the reverse's reverse is the flow."""
    flow = Flow("tcp", one, other)
    assert flow.reverse == Flow("tcp", other, one)
    assert flow.reverse.reverse == flow
    assert flow.conversation == flow.reverse.conversation
    assert flow.conversation in (flow, flow.reverse)


@given(st.ip_addresses(v=6))
def test_addresses_are_compared_as_inet_ntop_writes_them(address: ipaddress.IPv6Address) -> None:
    """Addresses are compared as strings, so all come in inet_ntop(3)'s form."""
    assert Endpoint(str(address), 1) == Endpoint(ipaddress.ip_address(address.exploded).compressed, 1)
