"""Who reads files and packets: the user who asked, with no capability and no way to get one.

Under sudo that is SUDO_UID; as root without sudo, the owner of the folder that is written to, so that a root in a
container leaves files that their folder's owner can use; else the caller. Whoever it is, capabilities go, and
no-new-privs keeps them away (capabilities(7), prctl(2)).
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd

from rawlab.live import libc


def drop(folder: str | os.PathLike[str] = ".") -> None:
    """Becomes the user who asked, for good. Raises OSError.

    The root of a user namespace without that user (EINVAL), or without the right to change (EPERM), remains
    itself, and loses its capabilities all the same.
    """
    libc.bar_capabilities()  # takes a capability itself: before they go
    if os.geteuid() == 0:
        uid, gid = asked(folder)
        with contextlib.suppress(PermissionError):  # user_namespaces(7): setgroups may be denied
            os.setgroups(_groups(uid, gid))
        try:
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
    libc.drop_capabilities()


def asked(folder: str | os.PathLike[str]) -> tuple[int, int]:
    """uid and gid of who asked, for a root who was asked."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if uid.isdecimal() and gid.isdecimal():
        return int(uid), int(gid)
    try:
        owner = os.stat(folder)
    except OSError:
        return 0, 0
    return owner.st_uid, owner.st_gid


def _groups(uid: int, gid: int) -> list[int]:
    with contextlib.suppress(KeyError):
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return [gid]
