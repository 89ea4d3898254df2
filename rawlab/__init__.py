"""rawlab: which system call put this packet on the wire, and which call was waiting for it?

>>> import rawlab                                             # doctest: +SKIP
>>> story = rawlab.capture("tcp-echo")
>>> print(story)
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Story", "__version__", "capture", "load"]


def __getattr__(name: str) -> object:
    """`capture`, `load` and `Story` come from `rawlab.api` when they are first asked for: start-up stays cheap."""
    if name in __all__:
        from rawlab import api

        return getattr(api, name)
    raise AttributeError(f"module 'rawlab' has no attribute {name!r}")
