"""Capture an interface as pcapng with rawlab's ring: `capture_ring.py INTERFACE > FILE`.

Says "ready" on standard error when it hears, and at SIGINT the kernel's counts: captured, dropped.
"""

import os
import select
import signal
import struct
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Else numpy's import starts threads that nobody needs: 0.06 s.

from rawlab.live.ring import SNAPLEN, Ring

SECTION_HEADER = struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE_DESCRIPTION = struct.pack("=IIHHIHHB3xHHI", 1, 32, 1, 0, SNAPLEN, 9, 1, 9, 0, 0, 32)
NAP = 0.02
"""Seconds between a wake-up and taking: a few blocks at once, since waking up costs as much as a block."""


def main(interface: str) -> None:
    """Write every block as it comes until SIGINT."""
    stop, wake = os.pipe()
    signal.signal(signal.SIGINT, lambda *_: os.write(wake, b"."))
    file = sys.stdout.fileno()
    os.write(file, SECTION_HEADER + INTERFACE_DESCRIPTION)
    with Ring(interface) as ring:
        print("ready", file=sys.stderr, flush=True)
        poll = select.poll()
        poll.register(ring, select.POLLIN)
        poll.register(stop, select.POLLIN)
        while stop not in dict(poll.poll()):
            time.sleep(NAP)
            if runs := ring.take():
                os.writev(file, runs)
                ring.release()
        counts = ring.statistics()
    print(counts.captured, counts.dropped, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
