"""Why link-layer addresses are asked for and told."""
# ruff: noqa: E501 (a ladder is as wide as it is)

from __future__ import annotations

from tests.attribution.ladder import stands


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
