"""A flood's report: each number stands under its own words, and what was lost is told."""

from __future__ import annotations

import json
from dataclasses import replace

from rawlab.model.event import Frame
from rawlab.model.flood import MARK, SHOWN, Flood
from rawlab.model.timeline import Point, Run, Timeline
from rawlab.views import flood as view

TOLD = Flood(
    sent=1_000_000,
    calls=245,
    batch=4096,
    refused=0,
    error=None,
    took_ns=2_000_000_000,
    received=1_000_001,
    lost=0,
    answered=30,
    answers={"TCP SYN-ACK": 20, "TCP RST": 3},
    captured=1_000_031,
    dropped=0,
    kept=100,
    before={"Tcp.InSegs": 5, "Tcp.OutSegs": 7},
    after={"Tcp.InSegs": 1_000_005, "Tcp.OutSegs": 7, "TcpExt.ListenOverflows": 4},
    settings={"net.ipv4.tcp_syncookies": "1"},
    whole=False,
)
FRAME = bytes.fromhex("0200000000020200000000010800" + "4500001c000000004011" + "66d00a0000010a0000020007000900080000")


def lines(told: Flood) -> list[str]:
    """The report's lines, their spaces made one."""
    return [" ".join(line.split()) for line in view.report(told).splitlines()]


def test_each_number_has_its_words() -> None:
    """Sent, came in, went out by kind, captured, in the file; of the kernel's counters those that moved."""
    shown = lines(TOLD)
    for said in (
        "1,000,000 sent send × 245, 4,096 packets of the transmit ring each at most, in 2.000 s: 500,000 a second",
        "1,000,001 came in at the server's interface, by its kernel's count, ARP and the like included",
        "30 went out at the server's interface",
        "20 TCP SYN-ACK",
        "3 TCP RST",
        "7 others: ARP, neighbour discovery, …",
        "1,000,031 captured both ways, by the ring at the server's interface",
        "100 in the file of those captured: the first 50 and the last 50",
        "1,000,000 Tcp.InSegs TCP segments that came in",
        "4 TcpExt.ListenOverflows dropped: the accept queue was full",
        "with net.ipv4.tcp_syncookies = 1",
    ):
        assert said in shown, said
    assert not any("OutSegs" in line or "lost" in line or "not captured" in line for line in shown)


def test_what_was_lost_is_told() -> None:
    """On the wire, in the ring, for want of room, and what ended it."""
    told = replace(TOLD, received=999_000, lost=1_001, captured=990_030, dropped=9_000, refused=3, error="ENETDOWN")
    shown = lines(told)
    for said in (
        "1,001 lost dropped between the two interfaces, by the kernels' counts",
        "9,000 not captured the ring had no room: they came in, or went out, unseen by it",
        "3 calls of send ended for want of room (ENOBUFS); the next sent what was left",
        "it ended when the kernel refused a packet (ENETDOWN)",
    ):
        assert said in shown, said


def test_nothing_was_sent() -> None:
    """No division by the time that it did not take."""
    assert "0 sent send × 0, 4,096 packets of the transmit ring each at most, in 0.000 s" in lines(
        replace(TOLD, sent=0, calls=0, took_ns=0)
    )


def timeline(count: int) -> Timeline:
    """So many frames at the server, every second one its own."""
    frames = tuple(
        Frame(
            number=n + 1,
            at_ns=1_000_000 * n,
            point=0,
            outgoing=n % 2 == 1,
            data=FRAME,
            length=len(FRAME),
            comments=(MARK,) if n % 4 == 0 else (),
        )
        for n in range(count)
    )
    return Timeline(run=Run(), hosts=(), points=(Point(name="server", linktype=1),), calls=(), frames=frames)


def test_the_packets_that_were_kept() -> None:
    """Whose each is, when it was, and where the others are missing."""
    shown = [" ".join(line.split()) for line in view.sample(timeline(100), replace(TOLD, captured=900)).splitlines()]
    assert shown[0] == "the first 50 and the last 50 packets at the server's interface"
    assert shown[4].startswith("1 0.000 flood → IP 10.0.0.1.7 > 10.0.0.2.9: UDP")
    assert shown[5].startswith("2 1.000 server → IP 10.0.0.1.7 >")
    assert shown[6].startswith("3 2.000 client → IP 10.0.0.1.7 >")
    assert shown[4 + SHOWN] == "… 800 packets are left out, here and in the file …"


def test_all_were_kept() -> None:
    """Few packets: nothing is left out, and nothing says so."""
    shown = view.sample(timeline(3), replace(TOLD, captured=3))
    assert shown.startswith("the packets at the server's interface\n")
    assert "left out" not in shown
    assert view.sample(timeline(0), replace(TOLD, captured=0)) == "no packet came to the server's interface"


def test_json() -> None:
    """All of it, the counters as what they moved by."""
    told = json.loads(view.to_json(TOLD))
    assert told["counters"] == {"Tcp.InSegs": 1_000_000, "TcpExt.ListenOverflows": 4}
    assert (told["sent"], told["answers"]["TCP RST"]) == (1_000_000, 3)
    assert (told["went_out"], sum(told["answers"].values()), told["others"]) == (30, 23, 7)
    assert told["file"] == "of those captured the first 50 and the last 50"
    assert json.loads(view.to_json(replace(TOLD, whole=True)))["file"] == "all that were captured"


def test_settings_of_protocols_that_took_no_part_are_left_out() -> None:
    """ICMP's rate limits stand where ICMP's counters moved, TCP's where TCP's did; nowhere, no line of them."""
    settings = {"net.ipv4.tcp_syncookies": "1", "net.ipv4.icmp_ratelimit": "0"}
    syns = replace(TOLD, settings=settings)
    assert lines(syns)[-1] == "with net.ipv4.tcp_syncookies = 1"
    assert json.loads(view.to_json(syns))["settings"] == {"net.ipv4.tcp_syncookies": "1"}
    pings = replace(syns, before={}, after={"Icmp.InEchos": 3})
    assert lines(pings)[-1] == "with net.ipv4.icmp_ratelimit = 0"
    raw = replace(syns, before={}, after={"Ip.InReceives": 3})
    assert "with" not in view.report(raw).splitlines()[-1]
