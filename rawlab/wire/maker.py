"""Who recorded a capture, by what its first section says: rawlab, or somebody else."""

from __future__ import annotations

from rawlab.wire import pcapng

USERAPPL = "rawlab "
"what shb_userappl begins with in a capture of rawlab's own; its version follows"


def is_own(data: bytes | memoryview) -> bool:
    """Whether the file's first section says that rawlab recorded it."""
    if bytes(data[:4]) != b"\x0a\x0d\x0d\x0a":
        return False
    try:
        first = next(pcapng.blocks(data))
        items = pcapng.read_options(first.body, 16, first.order)
    except (pcapng.Damage, StopIteration):
        return False
    return next(iter(pcapng.texts(items, pcapng.SHB_USERAPPL)), "").startswith(USERAPPL)
