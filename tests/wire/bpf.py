"""A machine for classic BPF programs, as slow as it is plain (Linux, filter.rst): the programs' meaning, in tests."""

from __future__ import annotations

import struct


def run(program: bytes, frame: bytes) -> int:
    """What the program returns for the frame: 0, or how many octets of it to keep."""
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator = index = at = 0
    while True:
        opcode, true, false, k = steps[at]
        at += 1
        if opcode in _SIZES:
            where = k + (index if opcode & 0xE0 == 0x40 else 0)
            size = _SIZES[opcode]
            if where + size > len(frame):
                return 0  # what reads past the end drops the packet
            accumulator = int.from_bytes(frame[where : where + size], "big")
        elif opcode == 0xB1:
            if k >= len(frame):
                return 0
            index = 4 * (frame[k] & 15)
        elif opcode == 0x05:
            at += k
        elif opcode == 0x15:
            at += true if accumulator == k else false
        elif opcode == 0x45:
            at += true if accumulator & k else false
        elif opcode == 0x06:
            return int(k)
        else:
            raise AssertionError(f"opcode {opcode:#x}")


_SIZES = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2, 0x50: 1}
