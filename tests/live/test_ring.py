"""The capture ring against the real kernel, each test in a network namespace of its own with a veth pair
(left, right). Its arithmetic is in test_patcher.py."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rawlab.live.ring import Patcher, Ring, Statistics, map_blocks
from tests.live.epbs import Packet, walk

CLONE_NEWNET = 0x40000000
PAGE = 4096
TO_RIGHT = bytes.fromhex("02000000000b")
FROM_LEFT = bytes.fromhex("02000000000a")
TYPE = b"\x88\xb5"  # local experimental: no protocol of the kernel answers
SECTION = struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = struct.pack("=IIHHIHHB3xHHI", 1, 32, 1, 0, 0, 9, 1, 9, 0, 0, 32)


@pytest.fixture
def link() -> Iterator[socket.socket]:
    """A socket that sends on `left`, in a fresh namespace that this thread is in during the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        os.close(before)
        pytest.skip(f"a network namespace is refused: {os.strerror(ctypes.get_errno())}")
    try:
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # It would speak unasked.
        for command in (
            "link add left address 02:00:00:00:00:0a type veth peer name right address 02:00:00:00:00:0b",
            "link set left arp off up",
            "link set right arp off up",
            "link set lo up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
            sender.bind(("left", 0))
            yield sender
    finally:
        assert not libc.setns(before, CLONE_NEWNET)
        os.close(before)


def frame(size: int, *, to: bytes = TO_RIGHT, tag: bytes = b"") -> bytes:
    """A frame of `size` bytes with random contents."""
    return (to + FROM_LEFT + tag + TYPE + os.urandom(size))[:size]


def drain(ring: Ring) -> bytes:
    """All that comes until it has been quiet for a while."""
    drained, deadline = b"", time.monotonic() + 5
    while time.monotonic() < deadline and select.select([ring], [], [], 0.1)[0]:
        drained += b"".join(ring.take())
        ring.release()
    return drained


def captured(ring: Ring) -> list[Packet]:
    return list(walk(drain(ring)))


def send(sender: socket.socket, frames: Sequence[bytes]) -> list[bytes]:
    for each in frames:
        assert sender.send(each) == len(each)
    return list(frames)


SIZES: dict[str, Callable[[int], int]] = {
    "constant": lambda _: 60,
    "constant stride": lambda i: 57 + i % 4,
    "mixed": lambda _: random.randint(14, 1514),
    "long": lambda _: 1514,
}


@pytest.mark.parametrize("block_size", [PAGE, 256 << 10])
@pytest.mark.parametrize("sizes", SIZES)
def test_every_frame_once(link: socket.socket, sizes: str, block_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame appears once, byte for byte, in order, with a nanosecond stamp from while it was sent;
    none needs work of its own."""
    monkeypatch.delattr(Patcher, "_straighten")
    with Ring("right", block_size=block_size, size=16 << 20) as ring:
        begin = time.time_ns()
        sent = send(link, [frame(SIZES[sizes](i)) for i in range(3000)])
        packets = captured(ring)
        assert ring.statistics() == Statistics(captured=3000, dropped=0)
    assert [packet.data for packet in packets] == sent
    assert [packet.original for packet in packets] == [len(each) for each in sent]
    stamps = [begin, *(packet.stamp for packet in packets), time.time_ns()]
    assert stamps == sorted(stamps)
    assert any(stamp % 1000 for stamp in stamps[1:-1])


def test_payload_like_a_header(link: socket.socket) -> None:
    """Payload that imitates the kernel's headers, at every place, does not shift a frame."""
    fake = struct.pack("=6I2H", 64, 1, 1, 60, 60, 1, 84, 98)
    frames = [(TO_RIGHT + FROM_LEFT + TYPE + bytes(i % 8) + fake * 9)[: 60 + i % 99] for i in range(2000)]
    with Ring("right") as ring:
        send(link, frames)
        assert [packet.data for packet in captured(ring)] == frames


def test_reused_blocks_leak_nothing(link: socket.socket) -> None:
    """Blocks filled again and again with other contents hold, between frames, none of the old bytes."""
    with Ring("right", block_size=PAGE, size=4 * PAGE) as ring:
        for size in (1514, 60, 61, 333) * 3:
            sent = send(link, [(TO_RIGHT + FROM_LEFT + TYPE + b"\xaa" * size)[:size]] * 5)
            drained = drain(ring)
            assert [packet.data for packet in walk(drained)] == sent
            assert b"\xaa" * 4 not in drained.replace(sent[0], b"")


@pytest.mark.parametrize("snaplen", [10, 41, 100])
def test_snaplen(link: socket.socket, snaplen: int) -> None:
    """A longer frame is cut to snaplen, its original length told; a shorter one is whole."""
    tags = [b"\x81\x00\x00\x07", b""]
    with Ring("right", snaplen=snaplen) as ring:
        sent = send(link, [frame(60 + i, tag=tags[i % 2]) for i in range(60)])
        packets = captured(ring)
    assert [(p.data, p.original) for p in packets] == [(each[:snaplen], len(each)) for each in sent]


def test_program(link: socket.socket) -> None:
    """Only what the BPF program accepts comes, cut to the smaller of its length and snaplen."""
    steps = [(0x28, 0, 0, 12), (0x15, 0, 1, 0x88B5), (0x06, 0, 0, 99), (0x06, 0, 0, 0)]  # ether proto 0x88b5
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    other = TO_RIGHT + FROM_LEFT + b"\x88\xb6" + bytes(100)
    for snaplen, kept in ((50, 50), (262_144, 99)):
        with Ring("right", program=program, snaplen=snaplen) as ring:
            sent = send(link, [frame(120), other, frame(121)])
            assert [packet.data for packet in captured(ring)] == [sent[0][:kept], sent[2][:kept]]


def test_direction(link: socket.socket) -> None:
    """epb_flags tell outbound at the sender, and at the receiver inbound with the kind of address."""
    addresses = [TO_RIGHT, b"\x01" + bytes(5), b"\xff" * 6, b"\x02" + bytes(5)]
    with Ring("left") as left, Ring("right") as right:
        send(link, [frame(60, to=address) for address in addresses])
        assert [packet.flags for packet in captured(left)] == [0b10] * 4
        assert [packet.flags for packet in captured(right)] == [0b00101, 0b01001, 0b01101, 0b10001]


@pytest.mark.parametrize(("ignore_outgoing", "times"), [(True, 1), (False, 2)])
def test_loopback(link: socket.socket, ignore_outgoing: bool, times: int) -> None:
    """On `lo` every packet is there twice, once with ignore_outgoing."""
    with Ring("lo", ignore_outgoing=ignore_outgoing) as ring, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        for i in range(50):
            sender.sendto(b"number %d" % i, sender.getsockname())
        seen = [packet.data[42:] for packet in captured(ring)]
        assert ring.hardware_type == 772
    assert seen == [b"number %d" % i for i in range(50) for _ in range(times)]


def test_losses_are_counted(link: socket.socket) -> None:
    """When the ring is full, captured + dropped is what was sent; room that is given back is used again."""
    with Ring("left", block_size=PAGE, size=2 * PAGE) as ring:
        send(link, [frame(60)] * 5000)
        first = ring.statistics()
        assert 0 < first.captured < 5000
        assert first.captured + first.dropped == 5000
        assert len(captured(ring)) == first.captured
        send(link, [frame(60)] * 5000)
        packets = captured(ring)
        assert packets
        last = ring.statistics()
    assert last.captured == first.captured + len(packets)
    assert last.captured + last.dropped == 10_000


def test_taken_blocks_stay(link: socket.socket) -> None:
    """What was taken does not change until release, however much comes; then it is unusable."""
    with Ring("left", block_size=PAGE, size=2 * PAGE) as ring:
        sent = send(link, [frame(60) for _ in range(200)])
        select.select([ring], [], [], 1)
        runs = ring.take()
        before = b"".join(runs)
        assert ring.take() == []
        send(link, [frame(60)] * 200)
        assert b"".join(runs) == before
        assert [packet.data for packet in walk(before)] == sent[: len(list(walk(before)))]
        ring.release()
        with pytest.raises(ValueError, match="released memoryview"):
            bytes(runs[0])


@pytest.mark.parametrize("alike", [False, True])
def test_vlan(link: socket.socket, alike: bool) -> None:
    """Tags that the kernel takes out of frames are back in place: 802.1Q, 802.1ad, both, none; or all the same."""
    tags = [b"\x81\x00\x20\x07", b"", b"\x88\xa8\x0f\xff", b"\x88\xa8\x00\x01\x81\x00\x00\x02"]
    with Ring("right") as ring, Ring("left") as left:
        sent = send(link, [frame(60 + i % 50, tag=tags[i % 4]) for i in ([0] * 400 if alike else range(400))])
        packets = captured(ring)
        assert [packet.data for packet in captured(left)] == sent
    assert [packet.data for packet in packets] == sent
    assert [packet.original for packet in packets] == [len(each) for each in sent]


@pytest.mark.parametrize("command", [
    ["tshark", "-n", "-r", "FILE", "-T", "fields", "-e", "frame.time_epoch"],
    ["tcpdump", "--nano", "-n", "-tt", "-q", "-r", "FILE"],
])  # fmt: skip
def test_stock_readers(link: socket.socket, tmp_path: Path, command: list[str]) -> None:
    """tshark and tcpdump show every packet, with its nanoseconds."""
    path = tmp_path / "capture.pcapng"
    with Ring("right") as ring:
        send(link, [frame(random.randint(14, 1514)) for _ in range(500)])
        drained = drain(ring)
    path.write_bytes(SECTION + INTERFACE + drained)
    out = run_reader([str(path) if word == "FILE" else word for word in command])
    shown = [line.split()[0] for line in out.splitlines() if not line.startswith("\t")]
    assert shown == [f"{p.stamp // 10**9}.{p.stamp % 10**9:09}" for p in walk(drained)]
    assert run_reader(["capinfos", "-TrcM", str(path)]).split()[-1] == "500"


def run_reader(command: list[str]) -> str:
    """What a program prints; it must not complain about the file."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        pytest.skip(f"not installed: {error.filename}")
    assert not [word for word in ("cut short", "corrupt", "rror") if word in done.stderr]
    return done.stdout


def test_close_frees_everything(link: socket.socket) -> None:
    """After close, also a second one and one with blocks taken, no descriptor or mapping is left."""

    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text().splitlines()
        return len(os.listdir("/proc/self/fd")), sum("socket:" in line for line in maps)

    before = held()
    for _ in range(3):
        ring = Ring("right", size=1 << 20)
        assert held() > before
        send(link, [frame(60)] * 10)
        select.select([ring], [], [], 1)
        assert ring.take()
        ring.close()
        ring.close()
    with pytest.raises(OSError, match="No such device"):
        Ring("nowhere")
    assert held() == before


def test_close_while_a_slice_is_held(link: socket.socket) -> None:
    """A slice of a taken block that someone still holds does not keep close from working."""
    ring = Ring("right", size=1 << 20)
    sent = send(link, [frame(60)])
    select.select([ring], [], [], 1)
    part = ring.take()[0][28:88]
    ring.close()
    assert ring.fileno() == -1
    assert bytes(part) == sent[0]


@pytest.mark.parametrize("promiscuous", [False, True])
def test_no_such_interface(link: socket.socket, promiscuous: bool) -> None:
    """The error of a missing interface names it."""
    with pytest.raises(OSError, match=r"^\[Errno 19\] No such device: 'nowhere'$"):
        Ring("nowhere", promiscuous=promiscuous)


def test_interface_goes_down(link: socket.socket) -> None:
    """An interface that goes down is an error once, after what came before it; then there is silence."""
    with Ring("right") as ring:
        sent = send(link, [frame(60)])
        time.sleep(0.05)
        subprocess.run(["ip", "link", "set", "right", "down"], check=True)
        assert [packet.data for packet in walk(b"".join(ring.take()))] == sent
        with pytest.raises(OSError, match=r"Network is down: 'right'"):
            ring.take()
        assert ring.take() == []
        assert select.select([ring], [], [], 0)[0] == [ring]  # the first block, not yet given back


@pytest.mark.parametrize("promiscuous", [False, True])
def test_promiscuous(link: socket.socket, promiscuous: bool) -> None:
    """The interface is put into promiscuous mode only if asked, and only until close."""

    def mode() -> bool:
        return b"promiscuity 1" in subprocess.check_output(["ip", "-d", "link", "show", "right"])

    with Ring("right", promiscuous=promiscuous):
        assert mode() == promiscuous
    assert not mode()


def test_no_foreign_frames(link: socket.socket) -> None:
    """Traffic of another interface does not slip in while the ring is opened."""
    done = threading.Event()

    def chatter() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            while not done.is_set():
                sender.sendto(b"foreign", ("127.0.0.1", 9))

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for _ in range(20):
            with Ring("right", size=1 << 20) as ring:
                assert captured(ring) == []
    finally:
        done.set()
        thread.join()


def test_scapy_sniffs(link: socket.socket) -> None:
    """scapy.sniff(opened_socket=...) gets every frame with its nanoseconds and its direction."""
    pytest.importorskip("scapy")
    from scapy.sendrecv import sniff

    from rawlab.live.supersocket import RingSocket

    begin = time.time_ns()
    with RingSocket("right") as receiving, RingSocket("left") as sending:
        sent = send(link, [frame(60 + i % 700) for i in range(2000)])
        packets = sniff(opened_socket=receiving, count=2000, timeout=60)
        outbound = sniff(opened_socket=sending, timeout=0.2, count=10)
        assert not len(sniff(opened_socket=receiving, timeout=0.05))
    assert [bytes(packet) for packet in packets] == sent
    assert {packet.direction for packet in packets} == {1}
    assert [packet.direction for packet in outbound] == [2] * 10
    stamps = [begin, *(int(packet.time * 10**9) for packet in packets), time.time_ns()]
    assert stamps == sorted(stamps)
    assert len({stamp % 10 for stamp in stamps}) == 10, "a float would have lost the last digit"
    assert receiving.fileno() == -1


def test_less_memory_than_asked() -> None:
    """When the kernel lacks memory the ring is halved until it fits; other errors come out."""

    class Kernel:
        limit, number = 100, errno.ENOMEM

        def setsockopt(self, _level: int, _option: int, request: bytes) -> None:
            if struct.unpack("=7I", request)[1] > self.limit:
                raise OSError(self.number, "no")

    kernel: Any = Kernel()
    assert map_blocks(kernel, 128, PAGE, 10) == 64
    kernel.limit = 0
    with pytest.raises(OSError, match="no"):
        map_blocks(kernel, 128, PAGE, 10)
