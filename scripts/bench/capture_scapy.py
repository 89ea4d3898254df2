"""Capture an interface as pcap with scapy's AsyncSniffer: `capture_scapy.py INTERFACE > FILE`.

Says "ready" on standard error when it hears; writes the file at SIGINT.
"""

import signal
import sys

from scapy.config import conf
from scapy.layers import inet
from scapy.sendrecv import AsyncSniffer
from scapy.utils import PcapWriter

conf.ipv6_enabled = False
assert inet.UDP  # its layers are bound by the import


def main(interface: str) -> None:
    """Sniff with scapy's default settings until SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def ready() -> None:
        print("ready", file=sys.stderr, flush=True)

    sniffer = AsyncSniffer(iface=interface, started_callback=ready)
    sniffer.start()
    signal.sigwait({signal.SIGINT})
    PcapWriter(sys.stdout.buffer).write(sniffer.stop())


if __name__ == "__main__":
    main(*sys.argv[1:])
