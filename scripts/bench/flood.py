"""Send small UDP frames on an interface: `flood.py INTERFACE FRAMES RATE` (RATE 0: as fast as it can).

Prints two numbers: frames the kernel accepted, and nanoseconds it took. Needs root.

At a rate: sendmmsg(2) through ctypes, up to 256 prebuilt frames a call; paced batches keep to absolute
times, so a late one is made up for. As fast as it can: bpf(2) has a program of four instructions run on one
frame FRAMES times, and the kernel redirects each run's frame to the interface (BPF_F_TEST_XDP_LIVE_FRAMES,
Linux 5.18; Documentation/bpf/bpf_prog_run.rst). All in one call, so nearly all of a CPU's time goes to
the frames: three times as many as sendmmsg sends. A veth takes them only if its peer has GRO on.
"""

import ctypes
import os
import platform
import socket
import struct
import sys
import time

SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20
BATCH = 256
FRAME = bytes.fromhex(
    "02000000000b 02000000000a 0800"
    "4500002e 00000000 4011 66b1 0a000001 0a000002"
    "04d2 1a85 001a 0000"
    "72 61 77 6c 61 62 72 61 77 6c 61 62 72 61 77 6c 61 62"
)
LIBC = ctypes.CDLL(None, use_errno=True)

# <linux/bpf.h>
SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_PROG_LOAD, BPF_PROG_TEST_RUN, BPF_PROG_TYPE_XDP, BPF_F_TEST_XDP_LIVE_FRAMES = 5, 10, 6, 2
BPF_MOV64_IMM, BPF_CALL, BPF_EXIT, BPF_FUNC_REDIRECT = 0xB7, 0x85, 0x95, 23
INSTRUCTION = struct.Struct("=BBhi")
LOAD = struct.Struct("=IIQQ24x")
"""union bpf_attr: prog_type, insn_cnt, insns, license."""
TEST_RUN = struct.Struct("=I4xI4xQ8xI28xI4xI4x")
"""union bpf_attr: prog_fd, data_size_in, data_in, repeat, flags, batch_size."""


class IoVector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class MultiMessage(ctypes.Structure):
    """struct mmsghdr: struct msghdr, and the length sent."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(IoVector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_size_t),  # unsigned int, and what pads the struct to 64 bytes
    )


def pace(interface: str, frames: int, rate: int) -> int:
    """Send `rate` frames a second, or as many as sendmmsg manages; frames sent."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sender.bind((interface, 0))
    vector = IoVector(FRAME, len(FRAME))
    messages = (MultiMessage * BATCH)()
    for message in messages:
        message.vectors, message.vector_count = ctypes.pointer(vector), 1
    batch = min(BATCH, max(1, rate // 1000))

    sent = 0
    start = time.monotonic_ns()
    while sent < frames:
        if (ahead := start + sent * 1_000_000_000 // rate - time.monotonic_ns()) > 0:
            time.sleep(ahead / 1e9)
        accepted = LIBC.sendmmsg(sender.fileno(), messages, min(batch, frames - sent), 0)
        if accepted < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += accepted
    return sent


def bpf(command: int, attributes: bytes) -> int:
    """bpf(2)."""
    result = int(LIBC.syscall(SYS_BPF[platform.machine()], command, attributes, len(attributes)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf: {os.strerror(number)}")
    return result


def burst(interface: str, frames: int) -> int:
    """Send as fast as the kernel can; frames sent."""
    redirect = (  # r1 = index, r2 = 0, r0 = bpf_redirect(r1, r2), return r0
        (BPF_MOV64_IMM, 1, 0, socket.if_nametoindex(interface)),
        (BPF_MOV64_IMM, 2, 0, 0),
        (BPF_CALL, 0, 0, BPF_FUNC_REDIRECT),
        (BPF_EXIT, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(INSTRUCTION.pack(*step) for step in redirect))
    text = ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(code), ctypes.addressof(text)
    program = bpf(BPF_PROG_LOAD, LOAD.pack(BPF_PROG_TYPE_XDP, len(redirect), *addresses))
    data = ctypes.create_string_buffer(FRAME)
    address = ctypes.addressof(data)
    bpf(BPF_PROG_TEST_RUN, TEST_RUN.pack(program, len(FRAME), address, frames, BPF_F_TEST_XDP_LIVE_FRAMES, 64))
    return frames


def main(interface: str, frames: int, rate: int) -> None:
    """Send, and tell what came of it."""
    start = time.monotonic_ns()
    sent = pace(interface, frames, rate) if rate else burst(interface, frames)
    print(sent, time.monotonic_ns() - start)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
