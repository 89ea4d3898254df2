"""What a lab needs of the system, and what to do where it is refused: each need is tried, not inferred."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rawlab.errors import LabError, PermissionMissing
from rawlab.live import interpreter, libc

SETTINGS = {
    "user/max_user_namespaces": "the limit of user namespaces is 0: sudo sysctl user.max_user_namespaces=10000",
    "kernel/unprivileged_userns_clone": (
        "user namespaces are for root alone: sudo sysctl kernel.unprivileged_userns_clone=1"
    ),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "AppArmor restricts user namespaces: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    ),
}
_LIMITS = {f"user/max_{kind}_namespaces": kind for kind in ("pid", "net")}
SETTINGS |= {
    name: f"the limit of {kind} namespaces is 0: sudo sysctl {name.replace('/', '.')}=10000"
    for name, kind in _LIMITS.items()
}
_BLOCKING = dict.fromkeys(SETTINGS, "0") | {"kernel/apparmor_restrict_unprivileged_userns": "1"}
CONTAINER = (
    "in a container: run it with --privileged, "
    "or with --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined"
)


def why_refused() -> str:
    """What to do about refused namespaces: the setting that forbids them, or the general remedy."""
    for name, blocking in _BLOCKING.items():
        with contextlib.suppress(OSError), open(f"/proc/sys/{name}") as file:
            if file.read().strip() == blocking:
                return f"{SETTINGS[name]} (or run it with sudo)" if os.geteuid() else SETTINGS[name]
    return CONTAINER if os.geteuid() == 0 else f"run it with sudo; {CONTAINER}"


def unshare_or_say(flags: int) -> None:
    """unshare(2), or PermissionMissing with the fix."""
    kinds = {libc.CLONE_NEWUSER: "user", libc.CLONE_NEWPID: "PID", libc.CLONE_NEWNET: "network"}
    try:
        libc.unshare(flags)
    except OSError as error:
        raise PermissionMissing(
            f"a {kinds[flags]} namespace is refused ({libc.errno_name(error.errno or 0)}): {why_refused()}"
        ) from None


def enter_user_namespace() -> None:
    """As an ordinary user: a user namespace in which this process may make networks. As root: nothing.

    The caller's uid and gid stay the same inside. Raises PermissionMissing.
    """
    if os.geteuid() == 0 and _may_make_networks():
        return
    uid, gid = os.geteuid(), os.getegid()
    unshare_or_say(libc.CLONE_NEWUSER)
    try:
        with contextlib.suppress(FileNotFoundError):
            _write("setgroups", "deny")
        _write("uid_map", f"{uid} {uid} 1")
        _write("gid_map", f"{gid} {gid} 1")
    except OSError as error:
        raise PermissionMissing(
            f"a user namespace is refused its map ({libc.errno_name(error.errno or 0)}): {why_refused()}"
        ) from None


def _may_make_networks() -> bool:
    """Whether this process holds CAP_SYS_ADMIN (21) and CAP_NET_ADMIN (12), capabilities(7)."""
    with open("/proc/self/status") as file:
        effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return bool(effective >> 21 & 1 and effective >> 12 & 1)


def _write(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def may_observe() -> bool:
    """Whether this process may look at its children's sockets, pidfd_getfd(2)."""
    try:
        _try_pidfd()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One need, tried."""

    need: str
    met: bool
    why: str
    "what was found"
    fix: str = ""
    required: bool = True
    "False: only some labs want it"


def check() -> list[Finding]:
    """Tries each need in a process of its own."""
    return [Finding(**finding) for finding in _in_child("findings")]


def _in_child(what: str) -> list[dict[str, Any]]:
    import json

    code = f"import json; from rawlab.live import needs; print(json.dumps(needs.{what}()))"
    done = subprocess.run(interpreter.command("-c", code), capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        last = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        raise LabError(f"the process that tries what labs need has failed: {last}")
    return list(json.loads(done.stdout))


def findings() -> list[dict[str, object]]:
    """Runs in a process of its own: it enters namespaces and does not come back."""
    tries: tuple[tuple[str, Callable[[], str], str, bool], ...] = (
        ("user namespace", _try_user, "", True),
        ("PID namespace", lambda: _try_unshare(libc.CLONE_NEWPID), "", True),
        ("network namespace", lambda: _try_unshare(libc.CLONE_NEWNET), "", True),
        ("veth pair", _try_veth, "load the module: sudo modprobe veth", True),
        ("packet socket", lambda: _try_socket(socket.AF_PACKET, socket.SOCK_RAW, 0), CONTAINER, True),
        (
            "raw socket",
            lambda: _try_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            CONTAINER,
            True,
        ),
        (
            "pidfd_getfd",
            _try_pidfd,
            "Linux 5.6 or later; the recorder asks the kernel from within instead",
            False,
        ),
        ("SCTP", _try_sctp, "", False),
    )
    found = []
    for need, attempt, fix, required in tries:
        try:
            found.append({"need": need, "met": True, "why": attempt(), "required": required})
        except OSError as error:
            name = libc.errno_name(error.errno or 0)
            found.append({"need": need, "met": False, "why": name, "fix": fix or why_refused(), "required": required})
        except PermissionMissing as error:
            why, _, remedy = str(error).partition(": ")
            found.append({"need": need, "met": False, "why": why, "fix": remedy, "required": required})
    return found


def _try_user() -> str:
    enter_user_namespace()
    return "not needed: root" if os.geteuid() == 0 else "the caller's own"


def _try_unshare(kind: int) -> str:
    unshare_or_say(kind)
    return "a new one"


def _try_veth() -> str:
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            route.link("add", kind="veth", ifname="one", peer={"ifname": "other"})
    except NetlinkError as error:
        raise OSError(error.code, "veth") from None
    return "made, and gone with its namespace"


def _try_socket(family: int, type: int, protocol: int) -> str:
    socket.socket(family, type, protocol).close()
    return "opened"


def _try_pidfd() -> str:
    os.close(libc.pidfd_getfd(os.pidfd_open(os.getpid()), 0))
    return "used to ask for the sockets' states"


def _try_sctp() -> str:
    """Which SCTP labs use: it may be ours, which needs a raw socket."""
    if kernel_speaks_sctp():
        return "the kernel's"
    with contextlib.suppress(OSError):
        _try_socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
        return "rawlab's own, on raw sockets; the kernel has none"
    raise PermissionMissing(f"the kernel has none, and raw sockets are refused: {_sctp_fixes()}")


# ------------------------------------------------------------------------------------------------ SCTP

SCTP = socket.IPPROTO_SCTP
SCTP_MODULE = (
    "sudo modprobe sctp (Debian: in the kernel's package; Ubuntu: linux-modules-extra-$(uname -r); "
    "Fedora, RHEL: kernel-modules-extra; WSL2, containers: the host's kernel decides)"
)


def kernel_speaks_sctp() -> bool:
    """Whether the kernel has SCTP; to ask makes it load its module, where it may."""
    try:
        _try_socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
    except OSError:
        return False
    return True


def choose_stack(asked: str | None) -> str:
    """Whose SCTP a lab will use, 'kernel' or 'user'. Raises PermissionMissing for a kernel's that is not there."""
    if asked == "user":
        return "user"
    if kernel_speaks_sctp():
        return "kernel"
    if asked == "kernel":
        raise PermissionMissing(f"--stack kernel: this kernel has no SCTP: {SCTP_MODULE}; --stack user works now")
    return "user"


def raw_sockets_or_say() -> None:
    """Tries the raw socket that our own SCTP needs, in this network. Raises PermissionMissing with both fixes."""
    try:
        _try_socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
    except OSError as error:
        what = libc.errno_name(error.errno or 0)
        raise PermissionMissing(f"rawlab's own SCTP needs raw sockets, refused ({what}): {_sctp_fixes()}") from None


def _sctp_fixes() -> str:
    return f"{why_refused()}; or let the kernel do it: {SCTP_MODULE}"
