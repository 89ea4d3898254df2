"""Why link-layer addresses are asked for and told."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from dataclasses import replace

from rawlab.attribution.telling import tell
from rawlab.wire.decode import decode
from tests.attribution.ladder import read, stands
from tests.attribution.test_unproven import without_calls


def test_a_syn_waits_until_the_neighbour_has_told_its_address() -> None:
    """ARP: the request is needed by the packet that waits; the reply answers the request."""
    stands(
        """
        p1  client>  100      ARP, Request who-has 10.0.0.2 tell 10.0.0.1  | kernel p3 ~ link-layer address of 10.0.0.2, which packet 3 needs
        p2  server>  125      ARP, Reply 10.0.0.2 is-at                    | kernel p1 ~ answers packet 1: 10.0.0.2 is here
        p3  client>  150      [S] seq 0                                    | call (inferred)
        """
    )


def test_a_neighbour_is_asked_for_again_when_its_entry_has_aged() -> None:
    """A second request after an answer: the kernel confirms what it knows, and no packet waited for it."""
    stands(
        """
        p1  client>  100       ARP, Request who-has 10.0.0.2 tell 10.0.0.1  | kernel p3
        p2  server>  125       ARP, Reply 10.0.0.2 is-at                    | kernel p1
        p3  client>  150       [S] seq 0
        p4  client>  5000000   ARP, Request who-has 10.0.0.2 tell 10.0.0.1  | kernel (inferred) ~ its entry had aged
        p5  server>  5000025   ARP, Reply 10.0.0.2 is-at                    | kernel p4
        p6  client>  5000050   [.] seq 1, ack 1
        """
    )


def test_another_s_question_for_the_same_address_is_not_its_own() -> None:
    """In anyone's capture hosts have no names: whose question it is, the asker's address says."""
    story = without_calls("""
        p1  client>  100      ARP, Request who-has 10.0.0.2 tell 10.0.0.1
        p2  server>  125      ARP, Reply 10.0.0.2 is-at
        p3  client>  150      ARP, Request who-has 10.0.0.2 tell 10.0.0.9
        p4  client>  180      ARP, Request who-has 10.0.0.2 tell 10.0.0.1
    """)
    assert "again" not in story.packets[2].cause.reason
    assert "again" in story.packets[3].cause.reason


def test_a_request_that_no_packet_follows() -> None:
    """Nobody answered, so what waited never left."""
    stands(
        """
        p1  client>  100-     ARP, Request who-has 10.0.0.9 tell 10.0.0.1  | kernel (inferred) lost ~ address of 10.0.0.9
        """
    )


def test_neighbour_discovery_does_the_same_for_ipv6() -> None:
    """Solicitation, advertisement, the packet that waited; and what was told unasked."""
    stands(
        """
        p1  client>  100      ICMP6, neighbor solicitation, who has fd00::2    | kernel p3 ~ fd00::2, which packet 3 needs
        p2  server>  125      ICMP6, neighbor advertisement, tgt is fd00::2    | kernel p1 ~ answers packet 1
        p3  client>  150      [S] seq 0                                        | call (inferred)
        p4  server>  200      ICMP6, neighbor advertisement, tgt is fd00::9    | kernel (inferred) ~ tells unasked
        """,
        ipv6=True,
    )


def test_what_an_ipv6_host_says_when_it_comes_up() -> None:
    """Duplicate address detection (RFC 4862), multicast groups (RFC 3810), routers (RFC 4861)."""
    stands(
        """
        p1  client>  100      ICMP6, neighbor solicitation, who has fd00::1 from ::  | kernel ~ whether anyone has fd00::1 already
        p2  client>  110      ICMP6, multicast listener report v2                    | kernel ~ multicast groups
        p3  client>  120      ICMP6, router solicitation                             | kernel ~ looks for routers
        """,
        ipv6=True,
    )


ASKED_BOTH_WAYS = """
p1  client>  100      ARP, Request who-has 10.0.0.2 tell 10.0.0.1
p2  server>  130      ARP, Request who-has 10.0.0.1 tell 10.0.0.2  | kernel p5 ~ link-layer address of 10.0.0.1, which packet 5 needs
p3  server>  135      ARP, Reply 10.0.0.2 is-at                    | kernel p1
p4  client>  155      [S] seq 0
p5  server>  180      [S.] seq 0, ack 1
"""


def test_a_host_that_was_asked_and_asks_all_for_the_first_time() -> None:
    """It does so for the packet that waits: that an entry had aged, nothing says."""
    stands(ASKED_BOTH_WAYS)


def test_a_host_that_was_asked_and_asks_back_the_asker_alone() -> None:
    """RFC 826 lets it keep what the request told; asked in a frame to that address, it is confirmed."""
    timeline = read(ASKED_BOTH_WAYS)
    alone = [
        replace(frame, data=bytes.fromhex("020000000001") + bytes(frame.data)[6:])
        if frame.data[:6] == b"\xff" * 6 and frame.data[28:32] == bytes((10, 0, 0, 2))
        else frame
        for frame in timeline.frames
    ]
    cause = tell(replace(timeline, frames=tuple(alone)), decode).packets[1].cause
    assert cause.reason.endswith("of 10.0.0.1, to confirm what 10.0.0.1 had told when it asked itself")
    assert cause.confidence == "inferred"
