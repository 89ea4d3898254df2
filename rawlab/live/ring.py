"""The capture ring: the kernel's receive ring, turned in place into pcapng.

What lives here: one AF_PACKET socket with a TPACKET_V3 ring (packet(7); Linux, packet_mmap.rst), and the
arithmetic that makes a retired block's memory a run of pcapng Enhanced Packet Blocks (EPBs). What does
not: files, section and interface headers, what a filter says, scapy.

How it works. Before each frame the kernel writes a header of its own (HEADER), about as large as what
pcapng wants between two frames. So no frame is copied, and no Python runs for one packet: numpy writes,
for all frames of a block at once, a *seam* before each: the end of the EPB before it, and the head of its
own. An example, in bytes from a block's start: two UDP frames of 60 bytes.

      0  tpacket_block_desc       48 bytes of the kernel's, never written to a file
     48  tpacket3_hdr of frame 0  tp_next_offset 144, tp_mac 84 (82 + PACKET_RESERVE)
    104  EPB head                 type 6, length 144, interface, time, 60, 60    <- the run begins
    132  frame 0
    192  filler option            code 0xF111, length 36, zeros     |  here were tpacket3_hdr
    232  epb_flags option         code 2, length 4, 0b00101         |  (192) and sockaddr_ll (240)
    240  opt_endofopt, length     0, 144                            |  of frame 1, which the seam
    248  EPB head                 type 6, length 104, ...           |  (216 to 276) covers
    276  frame 1
    336  epb_flags option, opt_endofopt, length 104                              <- the run ends at 352
Where the headers of a block differ in nothing but nanoseconds, as in a flood, one seam is made for all.
An EPB is as long as its frame is far from the next. The filler's code is of the range that pcapng keeps
for local use (0x8000 and up), so readers skip it; it and all padding are zeros, so that nothing stale
leaks from the ring into a file. Integers are in the machine's byte order; so must the section header's be.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Offsets: TypeAlias = npt.NDArray[np.int64]
"""Positions in the ring, in words of 4 bytes."""
Run: TypeAlias = tuple[int, int, int, int]
"""Where the first and the last frame of a run begin, where the last one stops (words); its epb_flags."""

# <linux/if_packet.h>, <linux/if_ether.h>, <linux/filter.h>: what the socket module does not name.
SOL_PACKET, SO_ATTACH_FILTER = 263, 26
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 1, 5, 6, 10
PACKET_RESERVE, PACKET_IGNORE_OUTGOING, PACKET_MR_PROMISC, TPACKET_V3 = 12, 23, 1, 2
TP_STATUS_KERNEL, TP_STATUS_USER, TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 0, 1, 1 << 4, 1 << 6
ETH_P_ALL, ETH_P_8021Q, BPF_RET_K = 3, 0x8100, 0x06

SNAPLEN: Final = 262_144
"""The longest frame kept whole, in bytes; tcpdump's default too."""
RESERVE: Final = 2
"""PACKET_RESERVE in bytes: after a 14-byte link header the kernel puts a frame at 82 + this: 4-aligned."""

WORD, EPB_TYPE, EPB_HEAD, EPB_FLAGS, NANO = 4, 6, 28, 2, 1_000_000_000
FILLER: Final = 0xF111
"""The code of the option that covers what is left of the kernel's header; of pcapng's local-use range."""

DESCRIPTOR: Final = struct.Struct("=8xIII")
"""struct tpacket_block_desc: block_status, num_pkts, offset_to_first_pkt."""
HEADER: Final = np.dtype([
    ("tp_next_offset", "=u4"), ("tp_sec", "=u4"), ("tp_nsec", "=u4"), ("tp_snaplen", "=u4"),
    ("tp_len", "=u4"), ("tp_status", "=u4"), ("tp_mac", "=u2"), ("tp_net_rxhash", "V6"),
    ("tp_vlan_tci", "=u4"), ("tp_vlan_tpid", "=u2"), ("tp_padding", "V10"),
    ("sll_family_to_hatype", "V10"), ("sll_pkttype", "u1"), ("sll_halen", "u1"),
])  # fmt: skip
"""struct tpacket3_hdr (48 bytes), then struct sockaddr_ll as far as it is of use."""
LEAD: Final = np.dtype([("code", "=u2"), ("length", "=u2"), ("zeros", "V44")])
"""The filler option's start; long enough to reach into the seam wherever the kernel put the frame."""
SEAM: Final = np.dtype([
    ("zeros", "V16"), ("flags_code", "=u2"), ("flags_length", "=u2"), ("flags", "=u4"),
    ("endofopt", "=u4"), ("length_before", "=u4"),
    ("type", "=u4"), ("length", "=u4"), ("interface", "=u4"), ("high", "=u4"), ("low", "=u4"),
    ("captured", "=u4"), ("original", "=u4"),
])  # fmt: skip
TAIL: Final = struct.Struct("=HHIII")
"""The end of a block's last EPB: epb_flags (code, length, value), opt_endofopt, block length."""

DIRECTION: Final = np.array([0b00101, 0b01101, 0b01001, 0b10001, 0b00010, 0, 0, 0], "=u4")
"""epb_flags by sll_pkttype: inbound to us, broadcast, multicast, to another host; outbound."""
KEPT: Final = np.frombuffer(b"\xff\xff\xff\xff\xff\0\0\0\xff\xff\0\0\xff\xff\xff\0", "=u4")
"""The bytes of a frame's last word that are the frame's, by its length modulo 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What the kernel counted since the ring was opened; captured + dropped = frames that came by."""

    captured: int
    """frames put into the ring"""
    dropped: int
    """frames that found no free block"""


class Ring:
    """Every frame of one interface, as pcapng, with the kernel's nanosecond stamps.

    `take` gives retired blocks, `release` gives them back to the kernel. The socket lives in the
    network namespace of the thread that makes it. Errors: OSError, with the interface as its file name.
    """

    def __init__(
        self,
        interface: str,
        *,
        interface_id: int = 0,
        size: int = 64 << 20,
        block_size: int = 512 << 10,
        retire_ms: int = 10,
        snaplen: int = SNAPLEN,
        ignore_outgoing: bool = False,
        program: bytes = b"",
        promiscuous: bool = False,
    ) -> None:
        """Capture on `interface`; EPBs carry `interface_id`.

        `size` and `block_size` are bytes (a block: a multiple of the page), `program` is an array of
        struct sock_filter. `ignore_outgoing` shows each packet of `lo` once.
        """
        self.interface = interface
        self._block_size = block_size
        self._captured = self._dropped = 0
        self._views: list[memoryview] = []
        self._next = self._taken = 0
        try:
            with contextlib.ExitStack() as stack:
                # Protocol 0 hears nothing until bind: no foreign frames, and none before the filter.
                self._socket = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
                self._blocks = self._configure(size, retire_ms, ignore_outgoing)
                if program or snaplen < SNAPLEN:
                    attach_filter(self._socket, program, snaplen)
                memory = stack.enter_context(mmap.mmap(self._socket.fileno(), self.size))
                self._patcher = Patcher(memory, block_size, interface_id, snaplen)
                stack.callback(self._patcher.close)
                stack.callback(self._release_views)
                self._bind(promiscuous)
                self._opened = stack.pop_all()
        except OSError as error:
            code = error.errno or errno.ENODEV  # if_nametoindex gives no number
            raise OSError(code, os.strerror(code), interface) from error

    @property
    def size(self) -> int:
        """The ring's bytes: what was asked for, or less where the kernel had no more memory."""
        return self._blocks * self._block_size

    @property
    def hardware_type(self) -> int:
        """The interface's kind of link: ARPHRD_* of <linux/if_arp.h> (1 Ethernet, 772 loopback)."""
        return int(self._socket.getsockname()[3])

    def _configure(self, size: int, retire_ms: int, ignore_outgoing: bool) -> int:
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        self._socket.setsockopt(SOL_PACKET, PACKET_RESERVE, RESERVE)
        if ignore_outgoing:
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        return map_blocks(self._socket, max(1, size // self._block_size), self._block_size, retire_ms)

    def _bind(self, promiscuous: bool) -> None:
        if promiscuous:  # struct packet_mreq; the kernel undoes it when the socket closes
            index = socket.if_nametoindex(self.interface)
            request = struct.pack("=iHH8x", index, PACKET_MR_PROMISC, 0)
            self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
        self._socket.bind((self.interface, ETH_P_ALL))

    def fileno(self) -> int:
        """Readable when a block is retired (poll(2), POLLIN)."""
        return self._socket.fileno()

    def take(self) -> list[memoryview]:
        """All newly retired blocks as runs of whole EPBs, oldest first; good until `release`.

        Raises OSError when the interface went down or away (ENETDOWN) and no block is left; frames
        of the last `retire_ms` may still come.
        """
        fresh: list[memoryview] = []
        before = self._taken
        while self._taken < self._blocks and self._patcher.retired(self._next):
            fresh += self._patcher.patch(self._next)
            self._next = (self._next + 1) % self._blocks
            self._taken += 1
        self._views += fresh
        # Only reading the error clears it: until then poll returns at once, for ever.
        if self._taken == before and (error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            raise OSError(error, os.strerror(error), self.interface)
        self._count()  # The kernel's counters have 32 bits: fold them while they are young.
        return fresh

    def release(self) -> None:
        """Give the taken blocks back to the kernel; their memoryviews are no longer usable."""
        self._release_views()
        for back in range(self._taken, 0, -1):
            self._patcher.give_back((self._next - back) % self._blocks)
        self._taken = 0

    def _release_views(self) -> None:
        for view in self._views:
            view.release()
        self._views.clear()

    def statistics(self) -> Statistics:
        """The running sums; frames in blocks not yet retired are counted as captured."""
        self._count()
        return Statistics(captured=self._captured, dropped=self._dropped)

    def _count(self) -> None:
        # struct tpacket_stats_v3: reading resets it, and tp_packets includes tp_drops.
        counters = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
        packets, drops, _freezes = struct.unpack("=III", counters)
        self._captured += packets - drops
        self._dropped += drops

    def close(self) -> None:
        """Stop, and free the ring; what was taken is no longer usable. Safe to call again."""
        # Who still holds a part of a taken view keeps its memory, but not the socket.
        with contextlib.suppress(BufferError):
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def map_blocks(packet_socket: socket.socket, blocks: int, block_size: int, retire_ms: int) -> int:
    """Have the kernel make a ring of `blocks`, or half as many while it lacks memory; how many it made."""
    while True:
        # struct tpacket_req3. TPACKET_V3 packs frames, so tp_frame_size only has to divide the block.
        request = struct.pack("=7I", block_size, blocks, block_size, blocks, retire_ms, 0, 0)
        try:
            packet_socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            return blocks
        except OSError as error:
            if error.errno != errno.ENOMEM or blocks < 2:
                raise
            blocks //= 2


def attach_filter(packet_socket: socket.socket, program: bytes, snaplen: int) -> None:
    """Let in what the classic BPF `program` accepts (none: everything), cut to `snaplen` (socket(7))."""
    accept_all = struct.pack("=HBBI", BPF_RET_K, 0, 0, snaplen)
    fields = [("code", "=u2"), ("jt", "u1"), ("jf", "u1"), ("k", "=u4")]  # struct sock_filter
    filters = np.frombuffer(program or accept_all, fields).copy()
    returns = filters["code"] == BPF_RET_K
    filters["k"][returns] = np.minimum(filters["k"][returns], snaplen)
    sock_fprog = struct.pack("@HP", filters.size, filters.ctypes.data)
    packet_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog)


class Patcher:
    """Blocks of the kernel's TPACKET_V3 layout, rewritten in place as pcapng.

    It knows memory and no socket. Offsets count words of 4 bytes from the start of the ring.
    """

    def __init__(self, ring: mmap.mmap | bytearray, block_size: int, interface_id: int, snaplen: int) -> None:
        self._memory = memoryview(ring)
        self._block_size = block_size
        self._snaplen = snaplen
        self._words: npt.NDArray[np.uint32] = np.frombuffer(ring, "=u4")
        self._headers = self._records(f"V{HEADER.itemsize}")  # opaque: copied in one piece, 10 times faster
        self._seams = self._records(f"V{SEAM.itemsize}")
        self._leads = self._records(f"V{LEAD.itemsize}")
        self._addresses = self._records("V12")
        # Scratch for one block, with all that never changes already in it. A frame takes 64 bytes or more.
        self._seam = np.zeros(block_size // 64, SEAM)
        self._seam[["flags_code", "flags_length", "type", "interface"]] = EPB_FLAGS, 4, EPB_TYPE, interface_id
        self._lead = np.zeros(block_size // 64, LEAD)
        self._lead["code"] = FILLER

    def _records(self, kind: npt.DTypeLike) -> npt.NDArray[Any]:
        """The ring as records of `kind`, one beginning at every word (so they overlap)."""
        count = (len(self._memory) - np.dtype(kind).itemsize) // WORD + 1
        return np.ndarray((count,), kind, self._memory, strides=(WORD,))

    def retired(self, block: int) -> bool:
        """Whether the kernel has handed this block over."""
        # x86-64 keeps loads in order, as this needs; Python has no barrier for machines that don't.
        return bool(self._words[block * self._block_size // WORD + 2] & TP_STATUS_USER)

    def give_back(self, block: int) -> None:
        """Hand this block to the kernel again."""
        self._words[block * self._block_size // WORD + 2] = TP_STATUS_KERNEL

    def patch(self, block: int) -> list[memoryview]:
        """Rewrite a block; its EPBs as one run, or two where the last one needs a copy, or none."""
        start, stop = block * self._block_size, (block + 1) * self._block_size
        _status, count, first = DESCRIPTOR.unpack_from(self._memory, start)
        if not count:
            return []
        first, stop_word = (start + first) // WORD, stop // WORD
        step = int(self._words[first]) // WORD  # to the next header, and if all are alike to each one
        headers = self._headers[first : min(first + step * count, stop_word) : step or 1].copy().view(HEADER)
        if headers.size == count > 1 and (times := times_if_alike(headers)) is not None:
            run = self._write_alike(headers[0], first, times)
        else:
            run = self._write_each(self._chain(first, count, stop_word))
        return self._finish(*run, stop)

    def _chain(self, first: int, count: int, stop: int) -> Offsets:
        """Where the `count` headers are: a guess, proved by every tp_next_offset, else a walk."""
        words = self._words
        # Headers are 8-aligned, and tp_mac with tp_net (word 6) is nearly always the same for all.
        guess = first + 2 * np.flatnonzero(words[first + 6 : stop : 2] == words[first + 6])
        if guess.size == count and (words[guess[:-1]] == np.diff(guess) * WORD).all():
            return guess
        chain, link = [first], self._memory.cast("I")
        for _ in range(count - 1):
            chain.append(chain[-1] + link[chain[-1]] // WORD)
        return np.array(chain)

    def _write_alike(self, header: Any, at: int, times: npt.NDArray[np.uint64]) -> Run:
        """What `_write_each` does, for frames with headers alike from `at` on."""
        stride, captured = int(header["tp_next_offset"]), int(header["tp_snaplen"])
        size, first = captured + 3 >> 2, at + int(header["tp_mac"]) // WORD
        last, gap = first + stride // WORD * (times.size - 1), stride - size * WORD
        lead, seam, flags = self._lead[:1], self._seam[:1], int(DIRECTION[header["sll_pkttype"]])
        lead["length"] = gap - (EPB_HEAD + TAIL.size + 4)
        seam["length_before"] = seam["length"] = stride
        seam["flags"], seam["captured"], seam["original"] = flags, captured, header["tp_len"]
        # The gap before the first frame is the kernel's header too, and at most 4 bytes of the block's descriptor.
        gaps = np.ndarray((times.size,), f"V{gap}", self._memory, first * WORD - gap, (stride,))
        gaps[:] = np.void(lead.tobytes()[: gap - SEAM.itemsize] + seam.tobytes())
        heads = np.ndarray((times.size, 7 + size), "=u4", self._memory, first * WORD - EPB_HEAD, (stride, WORD))
        heads[:, 3], heads[:, 4] = times >> 32, times
        if captured & 3:
            heads[:, -1] &= KEPT[captured & 3]
        return first, last, last + size, flags

    def _write_each(self, at: Offsets) -> Run:
        """Everything around the frames of the headers at `at`, but the last EPB's end."""
        headers = self._headers[at].view(HEADER)
        data, flags = at + (headers["tp_mac"] >> 2), DIRECTION[headers["sll_pkttype"]]
        if (headers["tp_mac"] & 3).any():
            self._straighten(headers, data)
        if (headers["tp_status"] & TP_STATUS_VLAN_VALID).any():
            self._retag(headers, data)
        captured = headers["tp_snaplen"].astype(np.int64)
        ends = data + (captured + 3 >> 2)
        if (rest := captured & 3).any():
            self._words[ends - 1] &= KEPT[rest]
        lead, seam = self._lead[: data.size - 1], self._seam[: data.size]
        lead["length"] = (data[1:] - ends[:-1]) * WORD - (EPB_HEAD + TAIL.size + 4)
        self._leads[ends[:-1]] = lead.view(self._leads.dtype)
        # An EPB is as long as its frame is far from the next; the seam of frame i ends EPB i - 1.
        seam["length"][:-1] = seam["length_before"][1:] = (data[1:] - data[:-1]) * WORD
        seam["flags"][1:] = flags[:-1]
        times = headers["tp_sec"].astype(np.uint64) * NANO + headers["tp_nsec"]
        seam["high"], seam["low"] = times >> 32, times
        seam["captured"], seam["original"] = captured, headers["tp_len"]
        self._seams[data - SEAM.itemsize // WORD] = seam.view(self._seams.dtype)
        return int(data[0]), int(data[-1]), int(ends[-1]), int(flags[-1])

    def _straighten(self, headers: npt.NDArray[Any], data: Offsets) -> None:
        """Move down to a word's start, one by one, frames of a link without a 14-byte header (tun)."""
        for to, size, extra in zip(data * WORD, headers["tp_snaplen"], headers["tp_mac"] & 3, strict=True):
            self._memory[to : to + size] = self._memory[to + extra : to + extra + size]

    def _retag(self, headers: npt.NDArray[Any], data: Offsets) -> None:
        """Put back the VLAN tags that the kernel took out: the two addresses move down by its 4 bytes."""
        which = np.flatnonzero(headers["tp_status"] & TP_STATUS_VLAN_VALID)
        tagged = headers[which]
        tpid = np.where(tagged["tp_status"] & TP_STATUS_VLAN_TPID_VALID, tagged["tp_vlan_tpid"], ETH_P_8021Q)
        self._addresses[data[which] - 1] = self._addresses[data[which]]
        self._words[data[which] + 2] = (tpid.astype(np.uint32) << 16 | tagged["tp_vlan_tci"]).astype(">u4").view("=u4")
        data[which] -= 1
        headers["tp_snaplen"][which] = np.minimum(tagged["tp_snaplen"] + WORD, self._snaplen)
        headers["tp_len"][which] += WORD

    def _finish(self, first: int, last: int, end: int, flags: int, stop: int) -> list[memoryview]:
        """End the last EPB, in place if the block has room for it; the runs."""
        begin, final, end = first * WORD - EPB_HEAD, last * WORD - EPB_HEAD, end * WORD
        self._words[last - 6] = length = end - final + TAIL.size
        tail = TAIL.pack(EPB_FLAGS, 4, flags, 0, length)
        if end + TAIL.size <= stop:
            self._memory[end : end + TAIL.size] = tail
            return [self._memory[begin : end + TAIL.size]]
        copied = memoryview(bytes(self._memory[final:end]) + tail)
        return [self._memory[begin:final], copied] if begin < final else [copied]

    def close(self) -> None:
        """Let go of the ring's memory."""
        del self._words, self._headers, self._seams, self._leads, self._addresses
        self._memory.release()


def times_if_alike(headers: npt.NDArray[Any]) -> npt.NDArray[np.uint64] | None:
    """The frames' times in nanoseconds, if their headers are alike but for tp_nsec and ask for no work of their own."""
    if headers["tp_mac"][0] & 3 or headers["tp_status"][0] & TP_STATUS_VLAN_VALID:
        return None
    times = headers["tp_nsec"] + headers["tp_sec"][0].astype(np.uint64) * NANO
    headers["tp_nsec"] = 0
    headers["tp_next_offset"][-1] = headers["tp_next_offset"][0]  # The last one leads nowhere.
    words = headers.view("=u4").reshape(headers.size, -1)
    return None if (words[1:] != words[:-1]).any() else times
