"""A captured client against a real server: it says what it said, waits as it waited, and tells what is answered."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rawlab import api
from rawlab.model.facts import TcpSegment
from tests.live import runs

CAPTURES = runs.REPOSITORY / "captures"
SERVER = """\
import socket, sys
def say(connection, asked):
    {say}
listening = socket.create_server(("0.0.0.0", int(sys.argv[1])))
connection, _ = listening.accept()
{greet}
while asked := connection.recv(65536):
    say(connection, asked)
{end}
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    runs.need_networks()


def program(folder: Path, say: str, *, port: int = 7, greet: str = "", end: str = "connection.close()") -> str:
    """A server's command: what it says to what it is asked, what it says first, how it ends."""
    file = folder / "server.py"
    file.write_text(SERVER.format(say=say, greet=greet, end=end))
    return f"{sys.executable} {file} {port}"


def played(folder: Path, capture: Path | str, server: str, *options: str, code: int = 0) -> dict[str, Any]:
    """What `replay CAPTURE --against SERVER` tells."""
    file = capture if isinstance(capture, Path) else CAPTURES / f"{capture}.pcapng"
    done = runs.rawlab("replay", str(file), "--against", server, "--format", "json", *options, folder=folder)
    assert done.code == code, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


@pytest.mark.parametrize("lab", ["tcp-echo", "udp-echo", "sctp-echo", "tcp-half-close", "udp-flags", "tcp-peek"])
def test_a_lab_s_server_says_what_it_said(folder: Path, lab: str) -> None:
    """The captured client, played by our own endpoints, is answered by the lab's server as it was then."""
    told = played(folder, lab, lab)
    assert told["same"]
    assert told["turns"]


def test_a_program_of_one_s_own(folder: Path) -> None:
    """It runs in the server's host; the run is kept: our own TCP has spoken there, with numbers of its own."""
    told = played(folder, "tcp-echo", program(folder, "connection.sendall(asked)"), "-o", "run.pcapng")
    assert (told["same"], told["server_ends"], told["ends_now"]) == (True, "FIN", "FIN")
    story, then = api.load(folder / "run.pcapng"), api.load(CAPTURES / "tcp-echo.pcapng")
    assert [packet.cause.kind for packet in story.packets].count("unknown") == 0
    one, other = (next(p for p in each.packets if p.facts.flow is not None).facts for each in (story, then))
    assert one.flow is not None
    assert one.flow.source.address == "10.0.0.11"
    assert isinstance(one.transport, TcpSegment)
    assert isinstance(other.transport, TcpSegment)
    assert one.transport.seq != other.transport.seq
    checked = ("-o", "tcp.check_checksum:TRUE")
    assert not runs.tshark(folder / "run.pcapng", *checked, "-Y", "_ws.malformed || tcp.checksum.status == 0")


def test_what_differs_is_shown(folder: Path) -> None:
    """Octet for octet, with an exit code of its own."""
    server = program(folder, "connection.sendall(asked.upper() + b'!')")
    told = played(folder, "tcp-echo", server, code=8)
    assert told["turns"][0]["now"] == [b"HELLO!".hex()]
    done = runs.rawlab("replay", str(CAPTURES / "tcp-echo.pcapng"), "--against", server, folder=folder)
    assert done.code == 8
    assert "  -hello\n  +HELLO!" in done.out
    assert done.says_one_line().endswith("the answer differs")


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(folder: Path) -> None:
    """Its answer is none."""
    told = played(folder, "tcp-echo", program(folder, "pass"), code=8)
    assert told["turns"][0]["now"] == []


def test_a_server_that_ends_early(folder: Path) -> None:
    """What was not asked any more is told as such."""
    asks = capture_of_turns(folder)
    server = program(folder, "connection.sendall(asked); connection.close(); sys.exit()")
    told = played(folder, asks, server, code=8)
    first, second, third = (turn["now"] for turn in told["turns"])
    assert (first, third) == (["6f6e65"], None)
    assert second in ([], None)  # asked before its FIN had come, or not at all


def test_it_waits_for_what_it_waited_for(folder: Path) -> None:
    """A server that takes its time, in pieces, is given the second request after its first answer."""
    slow = "import time\n    for octet in asked:\n        time.sleep(0.05); connection.sendall(bytes([octet]))"
    told = played(folder, capture_of_turns(folder), program(folder, slow))
    assert told["same"]
    assert [turn["says"] for turn in told["turns"]] == [["6f6e65"], ["74776f"], ["746872"]]


def capture_of_turns(folder: Path) -> Path:
    """Three requests, one after the other, each answered by itself."""
    words = ("--message", "one", "--message", "two", "--message", "thr", "-o", "turns.pcapng")
    done = runs.rawlab("capture", "tcp-echo", *words, folder=folder)
    assert done.code == 0, done.err
    return folder / "turns.pcapng"


def test_a_server_of_the_present_network(folder: Path) -> None:
    """HOST:PORT is spoken to through a relay in the lab; of UDP as of TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while asked := connection.recv(65536):
                    connection.sendall(asked)

        thread = threading.Thread(target=serve)
        thread.start()
        told = played(folder, "tcp-echo", f"127.0.0.1:{listening.getsockname()[1]}")
        thread.join(10)
    assert (told["same"], told["ends_now"]) == (True, "FIN")


def test_over_ipv6(folder: Path) -> None:
    """A flow of IPv6's is played over IPv6."""
    done = runs.rawlab("capture", "tcp-echo", "--ipv6", "-o", "six.pcapng", folder=folder)
    assert done.code == 0, done.err
    assert played(folder, folder / "six.pcapng", "tcp-echo")["same"]


def test_as_an_ordinary_user() -> None:
    """A program may listen on port 7 there; what is kept is the user's."""
    with runs.open_folder() as folder:
        user = runs.ordinary_user(folder)
        (folder / "echo.pcapng").write_bytes((CAPTURES / "tcp-echo.pcapng").read_bytes())
        (folder / "server.py").write_text(SERVER.format(say="connection.sendall(asked)", greet="", end=""))
        words = ("replay", "echo.pcapng", "--against", "/usr/bin/python3 -I server.py 7", "-o", "run.pcapng")
        runs.need("/usr/bin/python3")
        done = runs.rawlab(*words, folder=folder, user=user, environment={"PYTHONHOME": ""} if user is None else None)
        if user is not None and "PYTHONHOME" in done.err:
            pytest.skip("this machine's own Python can't be started there")
        assert done.code == 0, done.err
        assert (folder / "run.pcapng").stat().st_uid == (os.geteuid() if user is None else user)


def test_a_program_that_dies_is_told_with_the_table(folder: Path) -> None:
    """What it had said, how it ended, and its last line."""
    server = program(folder, "connection.sendall(asked); raise SystemExit('no more')")
    done = runs.rawlab("replay", str(capture_of_turns(folder)), "--against", server, folder=folder)
    assert done.code == 8
    assert "the same" in done.out
    assert "ended with exit code 1: no more" in done.err


def test_an_answer_from_another_port_is_told(folder: Path) -> None:
    """The client's socket is connected, and does not take it: the classic mistake of a UDP server."""
    (folder / "server.py").write_text(
        "import socket\n"
        "one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))\n"
        "one.bind(('0.0.0.0', 7))\n"
        "while True:\n    asked, client = one.recvfrom(65536)\n    other.sendto(asked, client)\n"
    )
    words = ("replay", str(CAPTURES / "udp-echo.pcapng"), "--against", f"{sys.executable} {folder}/server.py")
    done = runs.rawlab(*words, folder=folder)
    assert done.code == 8
    assert "does not take it" in done.err


REFUSED = [
    (("--against", "192.0.2.1:7"), "say --outside as well"),
    (("--against", "127.0.0.1:"), "HOST:PORT expected"),
    (("--against", "tcp-echo", "--where", "port == 7"), "leave --where out"),
    (("--against", "tcp-echo", "--format", "nosuch"), "no such format"),
    (("--against", "tcp-echo", "-o", str(CAPTURES / "tcp-echo.pcapng"), "--force"), "is the capture itself"),
    (("--against", "no-such-program"), "no such program"),
    (("--against", "127.0.0.1:99999"), "a port from 1 to 65535 expected"),
    (("--against", "udp-echo"), "the flow speaks TCP"),
    (("--against", "raw-traceroute"), "a router is before its server"),
    (("--against", "'"), "a command's words expected"),
    (("--against", "tcp-echo", "--ladder"), "leave --ladder out"),
    (("--against", "tcp-echo", "--flow", "9"), "--flow 9"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED)
def test_what_can_t_be_played(folder: Path, words: tuple[str, ...], why: str) -> None:
    """One line that says why; no lab is run."""
    done = runs.rawlab("replay", str(CAPTURES / "tcp-echo.pcapng"), *words, folder=folder)
    assert done.code in (2, 4)
    assert why in done.says_one_line()


def test_of_several_flows_one_is_named(folder: Path) -> None:
    """Which, has to be said."""
    done = runs.rawlab("replay", str(CAPTURES / "sctp-streams.pcapng"), "--against", "sctp-streams", folder=folder)
    assert done.code == 2
    assert "holds 2 flows of TCP, UDP or SCTP: say which with --flow N" in done.says_one_line()
    numbered = ("--flow", "2", "--against", "udp-echo")
    done = runs.rawlab("replay", str(CAPTURES / "udp-echo.pcapng"), *numbered, folder=folder)
    assert done.code == 0, done.err


def test_a_program_that_fails_says_why(folder: Path) -> None:
    """Its exit code and the last line that it printed; a refused connection likewise."""
    (folder / "server.py").write_text("import sys\nsys.exit('no configuration')\n")
    capture = str(CAPTURES / "tcp-echo.pcapng")
    done = runs.rawlab("replay", capture, "--against", f"{sys.executable} {folder}/server.py", folder=folder)
    assert done.code == 7
    assert done.says_one_line().endswith("ended with exit code 1 before it listened: no configuration")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        done = runs.rawlab("replay", capture, "--against", address, folder=folder)
    assert done.code == 7
    assert done.says_one_line().endswith("Connection refused: is the server there?")
