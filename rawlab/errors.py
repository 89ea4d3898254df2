"""What can go wrong, as exceptions. Each message is one line: what, where, why, and what to do.

RawlabError                 exit code
├── UsageError              2   the command's words: an unknown lab, a port out of range
├── PermissionMissing       3   the system refuses namespaces, packet sockets or raw sockets
├── FormatError             4   a file that is no capture
├── Damaged                 5   a capture that breaks off: what is whole was read
├── OutputError             6   a folder that can't be written, a full disk
├── LabError                7   the lab's own processes failed
└── Differs                 8   a server says something else than in the capture

0 is success, 1 a fault of rawlab itself, 130 and 143 an orderly stop by SIGINT and SIGTERM.
"""

from __future__ import annotations


class RawlabError(Exception):
    """Any error that rawlab foresees."""

    exit_code = 1


class UsageError(RawlabError):
    """The command's words are off."""

    exit_code = 2


class PermissionMissing(RawlabError):
    """The system refuses what a lab needs."""

    exit_code = 3


class FormatError(RawlabError):
    """A file that is no capture."""

    exit_code = 4


class Damaged(RawlabError):
    """A capture that breaks off, or lies about its lengths; what stands before was read."""

    exit_code = 5


class OutputError(RawlabError):
    """The capture could not be written whole; what was written before is kept."""

    exit_code = 6


class LabError(RawlabError):
    """The lab's own processes failed."""

    exit_code = 7


class Differs(RawlabError):
    """A server, asked as in the capture, says something else."""

    exit_code = 8
