"""Captures in files: what is read is bounded, what is written belongs to whoever asked and replaces nothing.

    opening     a capture's octets, of a file or standard input
    unpacking   gzip and Zstandard
    timelines   timelines from octets, and into files
    writing     new files, and files in place of others
"""

from __future__ import annotations

from rawlab.store.opening import Opened, octets, opened, read, read_file
from rawlab.store.timelines import load, parse, save, write
from rawlab.store.writing import create, create_unused, discard_empty, editing, nameless, refuse_input, replace

__all__ = [
    "Opened",
    "create",
    "create_unused",
    "discard_empty",
    "editing",
    "load",
    "nameless",
    "octets",
    "opened",
    "parse",
    "read",
    "read_file",
    "refuse_input",
    "replace",
    "save",
    "write",
]
