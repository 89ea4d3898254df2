"""The topics of `rawlab explain`: which word leads to which, and what stands in none."""

from __future__ import annotations

import pytest

from rawlab import labs, topics
from rawlab.model.states import TcpState


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("accept", "accept"),
        ("ttl", "TTL"),
        ("icmp", "ICMP"),
        ("Arp", "ARP"),
        ("ip_hdrincl", "IP_HDRINCL"),
        ("af_packet", "AF_PACKET"),
        ("fragment", "fragment"),
        ("syn-sent", "states"),
        ("SHUTDOWN-ACK-SENT", "states"),
        ("listen", "listen"),
        ("foo", None),
    ],
)
def test_a_word_leads_to_a_topic(word: str, name: str | None) -> None:
    """In capitals or not."""
    assert topics.find(word) == name


@pytest.mark.parametrize("state", [state.value for state in TcpState])
def test_each_state_leads_to_the_states(state: str) -> None:
    """LISTEN too, though listen is a call."""
    assert topics.find(state) == "states"


@pytest.mark.parametrize(("word", "names"), [("accpet", ["accept"]), ("fragments", ["fragment"]), ("echo.pcapng", [])])
def test_what_is_near_is_near(word: str, names: list[str]) -> None:
    """What has nothing to do with any topic leads to none."""
    assert topics.near(word) == names


@pytest.mark.parametrize("name", topics.NAMES)
def test_labs_that_are_named_are_there(name: str) -> None:
    """What stands behind 'Labs', in each text, are labs."""
    _, _, told = topics.topic(name).rpartition("\nLab")
    words = told.replace(",", " ").replace(";", " ").replace(":", " ").split()
    named = [word for word in words if word.startswith(("tcp-", "udp-", "sctp-", "raw-"))]
    assert set(named) <= set(labs.NAMES)
