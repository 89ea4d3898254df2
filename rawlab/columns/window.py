"""A window: a stretch of a capture as columns, one row a frame, all arrays of one length."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Uint32 = npt.NDArray[np.uint32]
Uint16 = npt.NDArray[np.uint16]
Int8 = npt.NDArray[np.int8]
Bool = npt.NDArray[np.bool_]

ARP, NO_IP, UNDECODED = -1, -2, -3
"of `Window.protocol`, what is no IP protocol"
FRAGMENT, TUNNELLED = 1, 2
"bits of `Window.form`: a fragment of an IP packet; carried in a tunnel"


@dataclass(slots=True, kw_only=True)
class Window:
    """Frames one after the other, as the file has them."""

    number: Int64
    "record numbers, as Wireshark counts"
    offset: Int64
    "where each frame's octets begin in the capture"
    captured: Int32
    "octets of it that are there"
    length: Int32
    "octets of it on the wire"
    at_ns: Int64
    "since the epoch"
    point: Int32
    "index of its interface, counted through all sections"
    protocol: npt.NDArray[np.int16]
    "of the innermost IP packet; or ARP, NO_IP, UNDECODED"
    flow: Int32
    "index into `Flows`: every frame belongs to one"
    forward: Bool
    "from the flow's first end to its second"
    seq: Uint32
    "TCP's, absolute; 0 for others, as the four that follow"
    ack: Uint32
    flags: Uint16
    "TCP's nine flag bits, FIN the lowest"
    window: Int32
    "TCP's, as in the header"
    payload: Int32
    "TCP: octets of data by the headers; UDP: likewise; of a packet in fragments: where it became whole"
    payload_at: Int32
    "where those begin in the frame; SCTP: where its first chunk does; 0: nothing of TCP, UDP or SCTP is there"
    wscale: Int8
    "TCP's shift count where the segment has SYN and the option; else -1"
    mss: Int32
    "TCP's where the segment has SYN and the option; else 0"
    slow: Bool
    "read by `wire.decode`, one at a time: it is none of the forms that are read all at once"
    form: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    "FRAGMENT and TUNNELLED, of the slow; of no length where nobody looked"

    def __len__(self) -> int:
        return len(self.number)
