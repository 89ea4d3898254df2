"""`--where`: what an expression means, and what is said of one that means nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from rawlab.columns.expression import parse
from rawlab.errors import UsageError


class Rows:
    """Three flows: TCP to a web server, UDP over IPv6, one without addresses."""

    columns: ClassVar[dict[str, Any]] = {
        "packets": np.array([1, 20, 300]),
        "bytes": np.array([1_000_000, 10_000_000, 5]),
        "protocol": np.array(["tcp", "udp", "EN10MB"], object),
        "source": np.array(["10.0.0.1", "fe80::1", None], object),
        "destination": np.array(["10.0.0.2", "fe80::2", None], object),
        "source_port": np.array([4000, 53, -1]),
        "destination_port": np.array([443, 5353, -1]),
        "duration_ns": np.array([10**9, 1_500_000_000, 0]),
        "opened": np.array(["handshake", None, None], object),
        "notable": np.array(["zero window 3×", "", ""], object),
        "tcp_retransmissions": np.array([2, 0, 0]),
    }

    def values(self, name: str) -> Any:
        return self.columns[name]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("tcp.retransmissions > 0", [0]),
        ("tcp_retransmissions", [0]),
        ("packets >= 20", [1, 2]),
        ("packets >= 20 and protocol == UDP", [1]),
        ("packets < 5 or bytes <= 5", [0, 2]),
        ("port == 443 or host == fe80::1", [0, 1]),
        ("source_port = 443", []),
        ("duration > 1s", [1]),
        ("duration >= 1500ms", [1]),
        ("duration_ns >= 1.5", [1]),
        ("duration < 1us", [2]),
        ("bytes > 1M", [1]),
        ("bytes > 0.5Mi", [0, 1]),
        ('opened == "handshake"', [0]),
        ("opened != handshake", [1, 2]),
        ("notable contains 'zero window'", [0]),
        ("not (protocol in (tcp, udp))", [2]),
        ("protocol not in (tcp)", [1, 2]),
        ("!(packets == 1) && !(packets == 20)", [2]),
        ("packets == 1 || packets == 300 and protocol == udp", [0]),
        ("host == 10.0.0.0/8", [0]),
        ("host != 10.0.0.1", [1, 2]),
        ("port < 1000", [0, 1]),
        ("port in (53, 80)", [1]),
    ],
)
def test_an_expression_chooses(text: str, chosen: list[int]) -> None:
    """`and` binds stronger than `or`; a row that lacks a value fulfils only `!=`; host and port mean either end."""
    assert np.flatnonzero(parse(text).of(Rows())).tolist() == chosen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "column 1: a column's name expected, the end came"),
        ("packts > 3", "'packts' is no column; nearest: packets"),
        ("zzz > 3", "'zzz' is no column; --where help lists them"),
        ("packets > abc", "column 11: of packets a number as 12, 1.5k, 1M, 1Mi expected, 'abc' came"),
        ("packets >", "of packets a number"),
        ("(packets > 3", "')' expected, the end came"),
        ("packets > 3 3", "column 13: 'and', 'or' or the end expected, '3' came"),
        ("protocol < tcp", "of protocol one of ==, !=, in, not in, contains expected, '<' came"),
        ("protocol", "of protocol one of"),
        ("host == 300.1.1.1", "an address or a network as 10.0.0.0/8 expected, '300.1.1.1' came"),
        ("duration > 3parsecs", "a time as 1s, 20ms, 1.5 expected, '3parsecs' came"),
        ("packets in 3", "'(' and values, with commas, expected"),
        ("packets in (3", "',' or ')' expected"),
        ("5 > packets", "a column's name expected, '5' came"),
        ("protocol == 'x", "a word, a number or an operator expected"),
        ("not " * 100 + "packets", "at most 40 levels"),
        ("(" * 1000, "at most 40 levels"),
        ("a" * 3000, "up to 2000 characters expected, 3000 came"),
        ("__class__ == 1", "is no column"),
    ],
)
def test_what_means_nothing_is_said(text: str, says: str) -> None:
    """In one line, with the place, what was expected and what came."""
    with pytest.raises(UsageError) as error:
        parse(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
