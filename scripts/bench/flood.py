"""Send small UDP frames on an interface: `flood.py INTERFACE FRAMES RATE` (RATE 0: as fast as it can).

Prints two numbers: frames the kernel accepted, and nanoseconds it took. sendmmsg(2) through ctypes,
up to 256 prebuilt frames a call; paced batches keep to absolute times, so a late one is made up for.
"""

import ctypes
import socket
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
        ("sent", ctypes.c_uint32),
    )


def flood(interface: str, frames: int, rate: int) -> tuple[int, int]:
    """Frames sent and nanoseconds taken; `rate` is frames a second, 0 for no limit."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sender.bind((interface, 0))
    vector = IoVector(FRAME, len(FRAME))
    messages = (MultiMessage * BATCH)()
    for message in messages:
        message.vectors, message.vector_count = ctypes.pointer(vector), 1
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    batch = min(BATCH, max(1, rate // 1000)) if rate else BATCH

    sent = 0
    start = time.monotonic_ns()
    while sent < frames:
        if rate and (ahead := start + sent * 1_000_000_000 // rate - time.monotonic_ns()) > 0:
            time.sleep(ahead / 1e9)
        accepted = sendmmsg(sender.fileno(), messages, min(batch, frames - sent), 0)
        if accepted < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += accepted
    return sent, time.monotonic_ns() - start


if __name__ == "__main__":
    print(*flood(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
