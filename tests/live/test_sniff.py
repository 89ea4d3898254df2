"""`rawlab sniff` with real kernels: rows come as packets come, nothing is sent, and what is lost is told."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.commands import sniffing
from rawlab.errors import LabError
from rawlab.live.labs_running import RunningLab
from rawlab.live.sniff import Sniffer, Sniffing
from tests.live import runs

CLONE_NEWNET = 0x40000000
PORT = 4711
USER = 54321
"an ordinary user whom the machine does not know"


@pytest.fixture
def network() -> Iterator[None]:
    """A fresh network that this thread is in during the test: lo, and the veth pair left and right."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        os.close(before)
        pytest.skip(f"a network namespace is refused: {os.strerror(ctypes.get_errno())}")
    try:
        for words in (
            "link set lo up",
            "link add left type veth peer name right",
            "link set left arp off addrgenmode none up",
            "link set right arp off addrgenmode none up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        assert not libc.setns(before, CLONE_NEWNET)
        os.close(before)


def line_of(descriptor: int) -> str:
    """One line, and no octet more: what follows is for `communicate`."""
    line = b""
    while not line.endswith(b"\n") and (octet := os.read(descriptor, 1)):
        line += octet
    return line.decode()


class Listening:
    """A `sniff` that listens."""

    def __init__(self, folder: Path, *arguments: str, **more: object) -> None:
        self.started = runs.start("sniff", *arguments, folder=folder, **more)  # type: ignore[arg-type]
        assert self.started.process.stdout is not None
        assert self.started.process.stderr is not None
        self.out, self.err = self.started.process.stdout.fileno(), self.started.process.stderr.fileno()
        first = line_of(self.err)
        assert first.startswith("rawlab: listening on "), first

    def head(self) -> str:
        """The two lines of the table's head."""
        return line_of(self.out) + line_of(self.out)

    def end(self, number: int | None = signal.SIGINT) -> runs.Done:
        """Its end, by a signal or by itself; nothing of it may be left."""
        if number is not None:
            self.started.process.send_signal(number)
        try:
            return self.started.wait()
        finally:
            assert not runs.leftovers(self.started.mark)


def say(octets: bytes, times: int = 1, port: int = PORT) -> None:
    """UDP datagrams to a socket that is there, and never reads."""
    kind = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*kind) as there, socket.socket(*kind) as one:
        there.bind(("127.0.0.1", port))
        for _ in range(times):
            one.sendto(octets, ("127.0.0.1", port))


def converse(octets: bytes, port: int = PORT) -> None:
    """A TCP connection over which that is echoed, closed by the client first."""
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(octets)
            got = b""
            while len(got) < len(octets):
                got += accepted.recv(65536)
            accepted.sendall(got)
            client.shutdown(socket.SHUT_WR)
            assert accepted.recv(1) == b""


def rows_of(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("p")]


@pytest.mark.usefixtures("network")
def test_a_row_comes_when_its_packet_comes(folder: Path) -> None:
    """While sniff goes on; then ^C ends it with a summary and SIGINT's exit code."""
    sniff = Listening(folder, "-i", "lo", "udp")
    assert sniff.head().split()[:3] == ["#", "ms", "packet"]
    for n in (1, 2, 3):
        say(b"hello")
        row = line_of(sniff.out)
        assert row.startswith(f"p{n} "), row
        assert f"> 127.0.0.1.{PORT}: UDP, len 5" in row
        assert row.rstrip().endswith("a sendto (or send, write) of 5 octets (inferred)")
    done = sniff.end()
    assert done.code == 130
    assert done.err.splitlines()[-1] == "rawlab: 3 packets shown, 3 captured, 0 dropped"


@pytest.mark.usefixtures("network")
def test_what_is_shown_is_what_tcpdump_sees_and_replay_shows_again(folder: Path) -> None:
    """A TCP connection, with tcpdump beside: the same frames in the file, its rows as they were shown, mode 0600."""
    runs.need("tcpdump")
    command = ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", str(folder / "w.pcap"), f"tcp port {PORT}"]
    witness = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert witness.stderr is not None
    while b"listening on" not in witness.stderr.readline():
        assert witness.poll() is None
    sniff = Listening(folder, "-i", "lo", "tcp", "port", str(PORT), "-o", "a.pcapng")
    converse(b"x" * 5000)
    say(b"not TCP")
    done = sniff.end()
    saved = load(folder / "a.pcapng").timeline
    deadline = time.monotonic() + 20  # tcpdump loses what it has not read when it is ended
    while len(load(folder / "w.pcap").frames) < len(saved.frames) and time.monotonic() < deadline:
        time.sleep(0.05)
    witness.send_signal(signal.SIGINT)
    witness.communicate(timeout=runs.SECONDS)
    seen = [bytes(frame.data) for frame in saved.frames]
    assert seen == [bytes(frame.data) for frame in load(folder / "w.pcap").timeline.frames]
    assert len(seen) == len(rows_of(done.out)) >= 8
    assert saved.complete
    assert saved.points[0].captured == len(seen)
    assert stat.S_IMODE((folder / "a.pcapng").stat().st_mode) == 0o600
    again = runs.rawlab("replay", "a.pcapng", folder=folder)
    assert (again.code, again.out) == (0, done.out)
    for words in ("a connect sends SYN; takes segments", "answers SYN (packet 1)", "acknowledges octets 1 to 5000"):
        assert words in done.out
    first = rows_of(done.out)[0].split()
    assert "LISTEN" not in first  # nobody knows yet that one listens


@pytest.mark.usefixtures("network")
def test_so_many_and_no_more(folder: Path) -> None:
    """--count: the table and the file end with that packet, though more came."""
    sniff = Listening(folder, "-i", "lo", "udp", "--count", "3", "-o", "a.pcapng")
    say(b"x", times=50)
    done = sniff.end(None)
    assert done.code == 0
    assert len(rows_of(done.out)) == 3
    assert len(load(folder / "a.pcapng").timeline.frames) == 3
    assert runs.rawlab("replay", "a.pcapng", folder=folder).out == done.out


@pytest.mark.usefixtures("network")
def test_so_long(folder: Path) -> None:
    """--duration ends it, without a packet too."""
    done = Listening(folder, "-i", "lo", "--duration", "0.5").end(None)
    assert (done.code, rows_of(done.out)) == (0, [])


@pytest.mark.usefixtures("network")
def test_sigterm(folder: Path) -> None:
    """An orderly end with SIGTERM's exit code; what came is in the file."""
    sniff = Listening(folder, "-i", "lo", "-o", "a.pcapng")
    say(b"x", times=5)
    assert sniff.end(signal.SIGTERM).code == 143
    assert load(folder / "a.pcapng").timeline.complete
    assert len(load(folder / "a.pcapng").timeline.frames) == 5


@pytest.mark.usefixtures("network")
def test_nobody_reads_any_more(folder: Path) -> None:
    """`| head`: it ends in good order by itself, and the file is whole."""
    sniff = Listening(folder, "-i", "lo", "-o", "a.pcapng")
    sniff.head()
    assert sniff.started.process.stdout is not None
    sniff.started.process.stdout.close()
    say(b"x", times=5)
    process = sniff.started.process
    assert process.wait(runs.SECONDS) == 0
    assert process.stderr is not None
    with process.stderr as stderr:
        assert "Traceback" not in stderr.read()
    assert load(folder / "a.pcapng").timeline.complete


@pytest.mark.usefixtures("network")
def test_killed(folder: Path) -> None:
    """kill -9: nothing of it is left, and the file opens with what came before."""
    sniff = Listening(folder, "-i", "lo", "udp", "-o", "a.pcapng")
    sniff.head()
    say(b"x")
    line_of(sniff.out)
    sniff.started.kill()
    assert not runs.leftovers(sniff.started.mark)
    assert len(load(folder / "a.pcapng").timeline.frames) == 1


@pytest.mark.usefixtures("network")
def test_what_is_dropped_is_told(folder: Path) -> None:
    """Nobody reads the rows while much comes: without a file the kernel drops, and every frame is counted."""
    sent = 2500
    sniff = Listening(folder, "-i", "lo", "udp")
    say(bytes(60_000), times=sent)
    done = sniff.end()
    assert done.code == 130
    words = done.err.splitlines()[-1].split()
    captured, dropped = int(words[4]), int(words[6])
    assert captured + dropped == sent
    assert dropped > 0
    assert "frames were dropped: the capture could not keep up" in done.err
    assert len(rows_of(done.out)) == captured


@pytest.mark.usefixtures("network")
def test_a_table_that_nobody_reads_costs_the_file_nothing(folder: Path) -> None:
    """With -o the stage writes without waiting for the table: each frame is there, and shown later."""
    sent = 1500
    sniff = Listening(folder, "-i", "lo", "udp", "-o", "a.pcapng")
    say(bytes(2_000), times=sent)
    done = sniff.end()
    saved = load(folder / "a.pcapng").timeline
    assert (saved.points[0].captured, saved.points[0].dropped, len(saved.frames)) == (sent, 0, sent)
    assert len(rows_of(done.out)) == sent


@pytest.mark.usefixtures("network")
def test_a_second_signal_leaves_out_the_rest_of_the_table(folder: Path) -> None:
    """Much came while nobody read: ^C twice ends it; the file has all, and the summary tells how much was shown."""
    sent = 3000
    sniff = Listening(folder, "-i", "lo", "udp", "-o", "a.pcapng")
    say(b"x", times=sent)
    for _ in range(2):
        sniff.started.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    done = sniff.end(None)
    assert done.code == 130
    shown = len(rows_of(done.out))
    assert f"rawlab: {shown} packets shown, {sent} captured, 0 dropped" in done.err
    assert shown < sent
    assert len(load(folder / "a.pcapng").timeline.frames) == sent


def test_a_full_disk(folder: Path) -> None:
    """Exit code 6, whole blocks in the file, and a line that says so."""
    runs.need_root()
    script = "mount -t tmpfs -o size=64k none /mnt && ip link set lo up && exec \"$@\""
    before = ("unshare", "-mn", "sh", "-c", script, "x")
    sniff = Listening(folder, "-i", "lo", "-o", "/mnt/a.pcapng", before=before)
    pid = sniff.started.process.pid
    flood = f"import socket; s = socket.socket(2, 2); [s.sendto(bytes(900), ('127.0.0.1', {PORT})) for _ in range(200)]"
    subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", flood], check=True)
    done = sniff.end(None)
    assert done.code == 6
    assert "No space left on device" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("network")
def test_it_sends_nothing(folder: Path) -> None:
    """Not one frame leaves either end of a veth pair, and the interface is not made promiscuous."""
    def sent() -> list[str]:
        told = subprocess.run(["ip", "-s", "-j", "link"], capture_output=True, text=True, check=True).stdout
        return [f"{link['ifname']} {link['stats64']['tx']['packets']}" for link in json.loads(told)]

    before = sent()
    sniff = Listening(folder, "-i", "left", "host", "10.0.0.1", "or", "arp")
    told = subprocess.run(["ip", "-d", "link", "show", "left"], capture_output=True, text=True, check=True).stdout
    assert "promiscuity 0" in told
    sniff.end()
    assert sent() == before


@pytest.mark.usefixtures("network")
def test_hostile_packets(folder: Path) -> None:
    """Frames of random octets, cut and mutated real ones: each has its row, no control character comes out."""
    chance = random.Random(runs.seed())
    captures = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
    real = [bytes(frame.data) for path in captures for frame in load(path).timeline.frames]
    count = 2000
    sniff = Listening(folder, "-i", "right", "-o", "a.pcapng", "--count", str(count), silent=False)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("left", 0))
        for _ in range(count):
            octets = bytearray(chance.choice(real))
            for _ in range(chance.randrange(4)):
                octets[chance.randrange(len(octets))] = chance.choice((0, 0x1B, 0x9B, 0xFF, chance.randrange(256)))
            octets = octets[: chance.randrange(14, len(octets) + 1)] if chance.random() < 0.3 else octets
            if chance.random() < 0.1:
                octets[14:] = chance.randbytes(chance.randrange(100))
            sender.send(octets[:1514])
            time.sleep(0.0001)
    done = sniff.end(None)
    assert done.code == 0, done.err
    assert len(rows_of(done.out)) == count
    assert not any((character < " " and character != "\n") or "\x7f" <= character < "\xa0" for character in done.out)
    assert runs.rawlab("replay", "a.pcapng", folder=folder).out == done.out


@pytest.mark.usefixtures("network")
def test_json(folder: Path) -> None:
    """One object a line, as it comes; its fields are those of a saved capture's packets."""
    sniff = Listening(folder, "-i", "lo", "--count", "1", "--format", "json")
    say(b"hello")
    packet = json.loads(sniff.end(None).out)
    assert (packet["n"], packet["protocol"], packet["length"]) == (1, "udp", 5)
    assert packet["lost"] is None
    assert packet["cause"]["confidence"] == "inferred"


# ------------------------------------------------------------------------------------------------ --pid


_TALKER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as one:
    for line in sys.stdin:
        one.sendall(line.encode())
        print(one.recv(100).decode(), end="", flush=True)
"""


@pytest.mark.usefixtures("network")
def test_the_packets_of_one_process(folder: Path) -> None:
    """Only those of its sockets, and which; the file holds no other's, and replay shows the same."""
    with socket.create_server(("127.0.0.1", PORT)) as server:
        talker = subprocess.Popen(
            [sys.executable, "-c", _TALKER, str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert talker.stdin is not None
        assert talker.stdout is not None
        accepted, _ = server.accept()
        with accepted:
            sniff = Listening(folder, "-i", "lo", "--pid", str(talker.pid), "-o", "a.pcapng")
            sniff.head()
            say(b"another's")
            converse(b"another's", PORT + 1)
            talker.stdin.write("hello\n")
            talker.stdin.flush()
            accepted.sendall(accepted.recv(100))
            assert talker.stdout.readline() == "hello\n"
            row = line_of(sniff.out)
            assert f"[{talker.pid}] fd " in row
            done = sniff.end()
        talker.communicate(timeout=runs.SECONDS)
    rows = [row, *rows_of(done.out)]
    assert all(f"[{talker.pid}] fd " in each and f".{PORT}" in each for each in rows)
    assert len(load(folder / "a.pcapng").timeline.frames) == len(rows) >= 2
    assert rows_of(runs.rawlab("replay", "a.pcapng", folder=folder).out) == [each.rstrip("\n") for each in rows]
    assert " of no socket of " in done.err.splitlines()[-1]


@pytest.mark.usefixtures("network")
def test_a_socket_that_is_closed_already(folder: Path) -> None:
    """Of a connection known before, what comes after close says so; the process itself goes on."""
    code = _TALKER + "print('closed', flush=True); sys.stdin = open('/dev/stdin'); import time; time.sleep(60)"
    code = code.replace("for line in sys.stdin:", "for line in iter(sys.stdin.readline, 'end\\n'):")
    with socket.create_server(("127.0.0.1", PORT)) as server:
        talker = subprocess.Popen(
            [sys.executable, "-c", code, str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert talker.stdin is not None
        assert talker.stdout is not None
        accepted, _ = server.accept()
        with accepted:
            sniff = Listening(folder, "-i", "lo", "--pid", str(talker.pid))
            sniff.head()
            talker.stdin.write("hello\n")
            talker.stdin.flush()
            accepted.sendall(accepted.recv(100))
            assert f"[{talker.pid}] fd " in line_of(sniff.out)
            talker.stdin.write("end\n")
            talker.stdin.flush()
            assert talker.stdout.readline() == "hello\n"
            assert talker.stdout.readline() == "closed\n"
            time.sleep(0.2)
        time.sleep(0.2)
        done = sniff.end()
        talker.kill()
        talker.communicate()
    assert "closed already" in rows_of(done.out)[-1]


def test_a_process_that_is_not_there(folder: Path) -> None:
    """One line."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    done = runs.rawlab("sniff", "-i", "lo", "--pid", str(gone.pid), folder=folder)
    assert done.code == 2
    assert done.says_one_line() == f"rawlab: --pid {gone.pid}: there is no such process"


def test_another_users_process(folder: Path) -> None:
    """One line, as an ordinary user."""
    runs.need_root()
    done = runs.rawlab("sniff", "-i", "lo", "--pid", str(os.getpid()), folder=folder, user=runs.NOBODY)
    assert done.code == 3
    assert done.says_one_line() == f"rawlab: --pid {os.getpid()}: is another user's process: use sudo"


# ------------------------------------------------------------------------------------------------ --lab


@pytest.mark.parametrize("user", [None, runs.NOBODY], ids=["self", "user"])
def test_inside_a_lab_that_runs(folder: Path, user: int | None) -> None:
    """Its hosts' packets, each once, until it ends; as whoever started it."""
    runs.need_networks()
    if user is not None:
        runs.need_root()
        os.chown(folder, user, user)
    words = ('IP()/TCP(dport=7, flags="S")', 'IP()/UDP(dport=9)/"x"')
    lab = runs.start("craft", *words, "--count", "1000", "--rate", "40", folder=folder, user=user, silent=True)
    pid = _rawlab_of(lab)
    sniff = Listening(folder, "--lab", str(pid), "not arp", "-o", "a.pcapng", user=user)
    sniff.head()
    for _ in range(8):
        line_of(sniff.out)
    os.kill(pid, signal.SIGTERM)
    done = sniff.end(None)
    lab.wait()
    assert done.code == 0, done.err
    assert "rawlab: the lab has ended: " in done.err
    saved = load(folder / "a.pcapng")
    assert {point.host for point in saved.timeline.points} == {"client", "server"}
    assert [host.addresses for host in saved.timeline.hosts if host.name == "client"] == [("10.0.0.1", "fd00::1")]
    assert "the kernel refuses" in done.out
    assert len(saved.packets) == 8 + len(rows_of(done.out))
    assert (folder / "a.pcapng").stat().st_uid == (user or os.getuid())


def test_a_lab_that_ends_at_any_moment(folder: Path) -> None:
    """Before sniff has found it, while it begins to listen, later: sniff ends too, says so, and leaves nothing."""
    runs.need_networks()
    moments = random.Random(runs.seed())
    packets = "craft", 'IP()/UDP(dport=9)/"x"', "--count", "1000", "--rate", "40"
    for n in range(runs.repetitions(6)):
        lab = runs.start(*packets, folder=folder, silent=True)
        pid = _rawlab_of(lab)
        sniff = runs.start("sniff", "--lab", str(pid), "-o", f"{n}.pcapng", folder=folder)
        time.sleep(moments.uniform(0.1, 0.6))
        os.kill(pid, signal.SIGKILL)
        done = sniff.wait()
        lab.kill()
        assert not runs.leftovers(sniff.mark)
        told = {0: "rawlab: the lab has ended: ", 2: "no lab of that process runs", 7: "the lab ended before it could"}
        assert told[done.code] in done.err, (done.code, done.err)
        assert (folder / f"{n}.pcapng").exists() == (done.code == 0)


def test_a_lab_that_ends_between_two_looks_at_it() -> None:
    """What can't be listened to any more is told as that, with what to do, whatever the stage met."""
    process = subprocess.Popen(["sleep", "60"])
    lab = RunningLab(pid=process.pid, stage=process.pid, words="", user=os.getuid())
    ending = sniffing._ending(lab)
    process.kill()
    process.wait()
    sniffer = Sniffer()
    try:
        with pytest.raises(LabError, match="ended before it could be listened to; run `rawlab capture`"):
            sniffing._begin(sniffer, Sniffing(interface=None, lab=lab, program=b"", version="1"), None, ending)
    finally:
        sniffer.close()
        os.close(ending)
    with pytest.raises(LabError, match="ended before it could be listened to; run `rawlab capture`"):
        sniffing._ending(lab)


def _rawlab_of(lab: runs.Started) -> int:
    """The pid of the rawlab itself, which may have been started by way of others, once its lab's client runs."""
    lab.named("client")
    return min(pid for pid, name in lab.processes().items() if name not in ("client", "server", "bash", "sh"))


def test_a_lab_that_is_not_there(folder: Path) -> None:
    """One line that says which are."""
    done = runs.rawlab("sniff", "--lab", str(os.getpid()), folder=folder)
    assert done.code == 2
    assert f"--lab {os.getpid()}: no lab of that process runs; running labs: " in done.says_one_line()


# -------------------------------------------------------------------------------------------- bad input


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("", 2, "sniff: say -i INTERFACE or --lab; interfaces: lo up 127.0.0.1 ::1, right up, left up; running labs: "),
        ("-i rihgt", 2, "-i rihgt: no such interface; nearest: right"),
        ("-i \x1b[31m", 2, "-i \\x1b[31m: no such interface; there are: lo, right, left"),
        ("-i lo --lab", 2, "sniff: -i or --lab, not both"),
        ("-i lo tpc", 2, "filter: at character 1: a host, port, protocol or flag expected, 'tpc' came; nearest: tcp"),
        ("-i lo -o -", 2, "-o -: the table goes to standard output; name a file for the packets"),
        ("-i lo --format latex", 2, "--format latex: a live table is simple or json"),
        ("-i lo --force", 2, "--force: goes with -o FILE"),
        ("-i lo -o nowhere/a.pcapng", 6, "nowhere/a.pcapng: can't be written: No such file or directory"),
        ("-i lo --count 0", 2, "a number from 1 to 1000000000 expected, '0' came"),
        ("-i lo --duration 0", 2, "seconds, up to 999999, expected, '0' came"),
    ],
)
def test_bad_input(folder: Path, words: str, code: int, told: str) -> None:
    """One line: what, where, what to do."""
    done = runs.rawlab("sniff", *words.split(" ") if words else (), folder=folder)
    assert (done.code, done.out) == (code, "")
    assert told in done.says_one_line()
    assert not list(folder.iterdir())


def test_an_ordinary_user_is_told_what_to_do(folder: Path) -> None:
    """On the present network, without the right to listen: one line, and no file."""
    runs.need_root()
    os.chown(folder, runs.NOBODY, runs.NOBODY)
    done = runs.rawlab("sniff", "-i", "lo", "-o", "a.pcapng", folder=folder, user=runs.NOBODY)
    assert done.code == 3
    assert done.says_one_line() == "rawlab: a packet socket on lo is refused (EPERM): use sudo"
    assert not list(folder.iterdir())


def test_under_sudo_the_file_is_the_users(folder: Path) -> None:
    """Written as whoever called sudo."""
    runs.need_root()
    runs.need("sudo")
    os.chown(folder, USER, USER)
    words = ("sniff", "-i", "lo", "-o", "a.pcapng", "--duration", "0.3")
    done = runs.rawlab(*words, folder=folder, user=USER, sudo=True)
    assert done.code == 0, done.err
    assert (folder / "a.pcapng").stat().st_uid == USER
