"""Our TCP, on an address that no kernel has, against the kernel's and programs that use it; tshark reads what we sent.

The runs are processes of their own (`interop`, which runs `kernel` or a program), since making hosts moves a process
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.tcp.interop import OURS
from tests.endpoints.tcp.kernel import stream

ROOT = Path(__file__).parents[3]
PACKAGES = {"nc": "netcat-openbsd"}


@pytest.fixture(autouse=True, scope="module")
def _needs() -> None:
    if os.geteuid():
        pytest.skip("needs root, for packet sockets and network namespaces")


def needs(*tools: str) -> None:
    """Programs that may not be there."""
    for tool in tools:
        if not shutil.which(tool):
            package = PACKAGES.get(tool, tool)
            pytest.skip(f"needs {tool}: sudo apt-get install -y --no-install-recommends {package}")


def run(role: str, *more: object, command: list[str] | None = None) -> dict[str, Any]:
    """What both saw; `role` is ours."""
    words = [sys.executable, "-m", "tests.endpoints.tcp.interop", role, *map(str, more)]
    words += ["--command", json.dumps(command)] if command else []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def sha256(data: bytes) -> str:
    """As both ends tell it."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("version", [4, 6])
def test_a_thousand_connections_that_the_kernel_begins(version: int) -> None:
    """We serve: each message comes back as it was, each end is graceful."""
    told = run("serve", "--count", 1000, "--version", version)
    assert told["ours"] == {"graceful": 1000}
    assert told["theirs"] == {"right": 1000}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("version", [4, 6])
def test_a_thousand_connections_that_we_begin(version: int) -> None:
    """The kernel serves: the same."""
    told = run("ask", "--count", 1000, "--version", version)
    assert told["ours"] == {"graceful": 1000, "right": 1000}
    assert told["theirs"] == {"echoed": 1000}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", ["serve", "ask"])
def test_connections_over_a_bad_wire(role: str) -> None:
    """5 % of all packets lost, doubled, late: those of the beginning and the end, too."""
    told = run(role, "--count", 60, "--share", 0.05)
    assert told["ours"]["graceful"] == 60
    assert told["theirs"] == ({"right": 60} if role == "serve" else {"echoed": 60})
    assert told["ours"].get("right", 60) == 60


@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", ["wait", "meet"])
@pytest.mark.parametrize(
    ("size", "share"), [(20_000_000, 0.0), (4_000_000, 0.02), pytest.param(20_000_000, 0.02, marks=pytest.mark.slow)]
)
def test_megabytes_both_ways_at_once(role: str, size: int, share: float) -> None:
    """Each octet, in both roles; 2 % of the packets lost, doubled, late, each way."""
    told = run(role, "--size", size, "--share", share)
    assert told["ours"] == {"octets": size, "sha256": sha256(stream(size, 2)), "errno": None}
    assert told["theirs"] == {"octets": size, "sha256": sha256(stream(size, 1))}


def test_urgent_data_both_ways() -> None:
    """The kernel's MSG_OOB is our mark, our mark its MSG_OOB."""
    told = run("urgent")
    assert told["ours"] == {"came": "abc!def", "marks": [4]}
    assert told["theirs"] == {"normal": "xyz", "urgent": "?"}


def test_nobody_listens_at_the_kernel() -> None:
    """Its RST is our ECONNREFUSED."""
    assert run("refused")["ours"]["errno"] == "ECONNREFUSED"


@pytest.mark.parametrize("version", [4, 6])
def test_curl_gets_a_page_of_ours(version: int) -> None:
    """We are the HTTP server."""
    needs("curl")
    host = f"[{OURS[6]}]" if version == 6 else OURS[4]
    command = ["curl", "-sgm", "60", f"http://{host}:7/"]
    told = run("http", "--count", 1, "--size", 3_000_000, "--version", version, command=command)
    assert told["ours"] == {"graceful": 1}
    assert told["theirs"] == sha256(stream(3_000_000, 1))


def test_we_get_a_file_from_pythons_http_server(tmp_path: Path) -> None:
    """We are the HTTP client."""
    (tmp_path / "file").write_bytes(stream(3_000_000, 5))
    command = [sys.executable, "-m", "http.server", "--directory", str(tmp_path), "8000"]
    told = run("get", "--port", 8000, command=command)
    assert told["ours"] == {"errno": None, "octets": 3_000_000, "sha256": sha256(stream(3_000_000, 5))}


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{ access_log off; server {{ listen 8000; root {folder}; }}
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; }}
"""


def test_we_get_a_file_from_nginx(tmp_path: Path) -> None:
    """We are the HTTP client of a server that sends by sendfile(2), and closes first."""
    needs("nginx")
    (tmp_path / "file").write_bytes(stream(3_000_000, 5))
    (tmp_path / "conf").write_text(NGINX.format(folder=tmp_path))
    told = run("get", "--port", 8000, command=["nginx", "-c", str(tmp_path / "conf"), "-e", str(tmp_path / "errors")])
    assert told["ours"]["errno"] is None, (tmp_path / "errors").read_text()
    assert told["ours"] == {"errno": None, "octets": 3_000_000, "sha256": sha256(stream(3_000_000, 5))}


@pytest.mark.parametrize(
    "command",
    [["nc", "-N", OURS[4], "7"], ["socat", "-t30", "STDIO", f"TCP:{OURS[4]}:7"]],
    ids=["nc", "socat"],
)
def test_a_programs_words_come_back(command: list[str]) -> None:
    """nc and socat connect to our echo."""
    needs(command[0])
    told = run("echo", "--size", 1_000_000, command=command)
    assert told["ours"] == {"graceful": 1}
    assert told["theirs"] == sha256(stream(1_000_000, 1))


@pytest.mark.parametrize("command", [["nc", "-lN", "7"], ["socat", "-u", "TCP-LISTEN:7", "STDIO"]], ids=["nc", "socat"])
def test_a_listening_program_hears_us(command: list[str]) -> None:
    """We connect to nc and socat."""
    needs(command[0])
    told = run("say", "--size", 1_000_000, command=command)
    assert told["ours"]["errno"] is None
    assert told["theirs"] == sha256(stream(1_000_000, 1))


def expert(file: Path, ours: str) -> list[tuple[str, str, str, str]]:
    """Of each packet of ours: checksum's status, malformed, severity and message of tshark's expert."""
    fields = ["tcp.checksum.status", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"]
    words = ["tshark", "-r", str(file), "-o", "tcp.check_checksum:TRUE", "-Y", f"tcp && {ours}", "-T", "fields"]
    words += [word for name in fields for word in ("-e", name)]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(*(row.split("\t") + [""] * 4)[:4],) for row in rows]  # type: ignore[misc]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("serve", ["--count", 50]), ("ask", ["--count", 50]), ("ask", ["--count", 20, "--version", 6]),
        ("wait", ["--size", 1_000_000]), ("meet", ["--size", 1_000_000, "--share", 0.02]), ("urgent", []),
    ],
    ids=["serve", "ask", "ask6", "wait", "meet-lossy", "urgent"],
)  # fmt: skip
def test_tshark_finds_nothing_wrong_with_what_we_send(tmp_path: Path, role: str, more: list[object]) -> None:
    """No malformed segment, no bad checksum; on a good wire not a word of warning."""
    needs("tshark", "tcpdump")
    file = tmp_path / "capture.pcap"
    run(role, *more, "--capture", file)
    rows = expert(file, f"ipv6.src == {OURS[6]}" if 6 in more else f"ip.src == {OURS[4]}")
    assert len(rows) >= 4
    assert {row[0] for row in rows} == {"1"}, "1: good"
    assert {row[1] for row in rows} == {""}
    messages = {row[3] for row in rows}
    assert not [one for one in messages if "alform" in one or "checksum" in one.lower() or "violation" in one.lower()]
    if "--share" not in more:
        assert {message for message in messages if not usual(message)} == set()


USUAL = (
    "Connection establish request (SYN)", "Connection establish acknowledge (SYN+ACK)", "Connection finish (FIN)",
    "This frame initiates the connection closing", "This frame undergoes the connection closing",
    "The urgent pointer field is nonzero", "urgent",
    # The kernel probes for a lost tail (RFC 8985) where we answer late: what came twice is acknowledged twice.
    "Duplicate ACK", "TCP window update",
)  # fmt: skip


def usual(message: str) -> bool:
    """Only the words that any good connection has."""
    return not message or any(words in message for words in USUAL)
