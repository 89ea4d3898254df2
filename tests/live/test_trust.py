"""Who does what with which rights, whose the files are, and what the outside sees of a run: nothing."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from rawlab import store
from tests.live import runs

USER = 4242  # nobody's on this machine


def owner(path: Path) -> tuple[int, int, str]:
    """uid, gid, mode."""
    status = path.stat()
    return status.st_uid, status.st_gid, stat.filemode(status.st_mode)


def given_to(folder: Path, uid: int) -> Path:
    os.chown(folder, uid, uid)
    return folder


def test_sudo(folder: Path) -> None:
    """Under sudo, the capture belongs to the user who asked, and is for that user alone."""
    runs.need_root()
    runs.need("sudo")
    runs.capture(given_to(folder, USER), user=USER, sudo=True)
    assert owner(folder / "tcp-echo.pcapng") == (USER, USER, "-rw-------")
    assert len(os.listdir(folder)) == 1


def test_sudo_writes_as_the_user(folder: Path) -> None:
    """Under sudo, nothing is written where the user who asked may not write."""
    runs.need_root()
    runs.need("sudo")
    folder.chmod(0o755)
    done = runs.rawlab("capture", "tcp-echo", folder=folder, user=USER, sudo=True)
    assert done.code == 6
    assert "Permission denied" in done.says_one_line()
    assert not os.listdir(folder)


def test_root_in_a_user_s_folder(folder: Path) -> None:
    """Root without sudo, as in a container: the capture belongs to the owner of its folder."""
    runs.need_root()
    runs.capture(given_to(folder, USER))
    assert owner(folder / "tcp-echo.pcapng") == (USER, USER, "-rw-------")


def test_root_in_its_own_folder(folder: Path) -> None:
    """Root in a folder of root's: the capture is root's."""
    runs.need_root()
    runs.capture(folder)
    assert owner(folder / "tcp-echo.pcapng") == (0, 0, "-rw-------")


def test_ordinary_user(folder: Path) -> None:
    """The capture of an ordinary user is that user's."""
    runs.need_root()
    runs.capture(given_to(folder, runs.NOBODY), user=runs.NOBODY)
    assert owner(folder / "tcp-echo.pcapng") == (runs.NOBODY, runs.NOBODY, "-rw-------")


def rights(pid: int) -> dict[str, str]:
    """What proc_pid_status(5) says of a process."""
    with open(f"/proc/{pid}/status") as file:
        return {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in file)}


@pytest.mark.parametrize("asked_by", ["sudo", "folder's owner"])
def test_parsing_holds_no_privilege(folder: Path, asked_by: str) -> None:
    """From before the first packet to the last line, the process that reads packets is the user's, holds no
    capability, and can't get one."""
    runs.need_root()
    given_to(folder, USER)
    environment = {"SUDO_UID": str(USER), "SUDO_GID": str(USER)} if asked_by == "sudo" else {}
    started = runs.start("capture", "tcp-echo", "--clients", "60", folder=folder, environment=environment, silent=True)
    started.named("client")
    samples = 0
    while started.process.poll() is None:
        seen = rights(started.process.pid)
        if "VmSize" not in seen:  # it has ended, and waits to be waited for
            break
        assert seen["Uid"] == seen["Gid"] == " ".join([str(USER)] * 4)
        assert set(seen["Groups"].split()) <= {str(USER)}
        assert {int(seen[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert seen["NoNewPrivs"] == "1"
        samples += 1
        time.sleep(0.01)
    assert started.wait().code == 0
    assert samples > 10


def test_replay_holds_no_privilege(folder: Path) -> None:
    """`replay` as root reads the file as root, and looks into it without any privilege."""
    runs.need_root()
    runs.capture(folder, "--clients", "60")
    started = runs.start("replay", "tcp-echo.pcapng", folder=given_to(folder, USER), silent=True)
    bare = 0
    while started.process.poll() is None:
        seen = rights(started.process.pid)
        bare += "VmSize" in seen and int(seen["CapEff"], 16) == 0 and seen["Uid"].split()[1] == str(USER)
        time.sleep(0.005)
    assert started.wait().code == 0
    assert bare > 3


def test_nothing_leaves_the_lab(folder: Path) -> None:
    """In the network that rawlab is started in, no packet moves on any interface, and none is added. That network is
    made for the test: on the machine's own, others talk."""
    runs.need_root()
    runs.need("ip")
    script = """
        echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6  # it would speak unasked
        ip link add out type veth peer name there; ip link set out up; ip link set there up; ip link set lo up
        ip addr add 10.0.0.1/24 dev out; sleep 2
        cat /proc/net/dev >before; "$@"; code=$?; cat /proc/net/dev >after; exit $code"""
    before = ["unshare", "-n", "sh", "-c", script, "sh"]
    story = runs.capture(folder, "-o", "a.pcapng", before=before)
    assert len(story["packets"]) >= 10
    told = (folder / "before").read_text()
    assert "out:" in told
    assert (folder / "after").read_text() == told


def test_no_descriptor_leaks(folder: Path) -> None:
    """A lab's process holds its three standard descriptors (all of them /dev/null), its sockets from 3 on, and the
    recorder's pipes above 512."""
    runs.need_networks()
    started = runs.start("capture", "tcp-echo", "--clients", "100", "--format", "json", folder=folder)
    for name in ("client", "server"):
        pid = started.named(name)
        links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in held(pid)}
        assert [links[fd] for fd in range(3)] == ["/dev/null"] * 3
        low = {fd: target for fd, target in links.items() if 3 <= fd < 512}
        assert all(fd in (3, 4) and target.startswith("socket:") for fd, target in low.items())
        assert all(target.startswith("pipe:") for fd, target in links.items() if fd >= 512)
    done = started.wait()
    assert {call["result"] for call in done.story["calls"] if call["call"] == "socket"} == {3}
    assert store.load(folder / "tcp-echo.pcapng").complete


def held(pid: int) -> list[str]:
    """The process's descriptors at a moment at which all of them can be read."""
    while True:
        found = os.listdir(f"/proc/{pid}/fd")
        if all(os.path.lexists(f"/proc/{pid}/fd/{fd}") for fd in found):
            return found
