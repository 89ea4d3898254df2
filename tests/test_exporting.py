"""`rawlab export`: tables that other programs read, and what is said where they can't be made."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rawlab.commands.sinks import Csv
from rawlab.model.columns import TABLES
from tests import many

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
OWN = ROOT / "captures" / "tcp-echo.pcapng"


def export(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """What `rawlab export` says."""
    said = [sys.executable, "-P", "-m", "rawlab", "export", *map(str, words)]
    return subprocess.run(said, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=100, **more)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six flows: see `many.mixed`."""
    path = tmp_path_factory.mktemp("captures") / "mixed.pcap"
    path.write_bytes(many.pcap(many.mixed()))
    return path


@pytest.fixture(scope="module")
def exported(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its tables, once as CSV and once as JSON."""
    folder = tmp_path_factory.mktemp("exported")
    for ending in ("csv", "json"):
        done = export(mixed, "-o", folder / f"x.{ending}")
        files = [folder / name for name in ("x.csv", "x-flows.csv", "x-calls.csv", "x-edges.csv")]
        wrote = f"rawlab: wrote {', '.join(map(str, files))}\n" if ending == "csv" else ""
        assert (done.returncode, done.stdout, done.stderr) == (0, "", wrote)
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_stand_beside_the_first(exported: Path) -> None:
    """OUT holds the frames; each file is new, the user's own, and its columns are those that are documented."""
    for table, columns in TABLES.items():
        path = exported / ("x.csv" if table == "frames" else f"x-{table}.csv")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().splitlines()[0].split(",") == [column.name for column in columns]
    assert len(read(exported / "x.csv")) == 17
    flows = read(exported / "x-flows.csv")
    assert [flow["protocol"] for flow in flows] == ["arp", "tcp", "tcp", "tcp", "udp", "icmp"]
    assert [flow["source_port"] for flow in flows] == ["", "20001", "4000", "4001", "5000", ""]


def test_parquet_says_what_csv_says(mixed: Path, exported: Path, tmp_path: Path) -> None:
    """Cell by cell; nothing is an empty cell there and a null here; each field has its unit and meaning."""
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export(mixed, "-o", tmp_path / "x.parquet").returncode == 0
    for table, columns in TABLES.items():
        name = "x" if table == "frames" else f"x-{table}"
        told = parquet.read_table(tmp_path / f"{name}.parquet")
        as_text = [
            {key: "" if value is None else str(int(value)) if value in (True, False) else str(value)}
            for row in told.to_pylist()
            for key, value in row.items()
        ]
        assert as_text == [{key: value} for row in read(exported / f"{name}.csv") for key, value in row.items()]
        for column in columns:
            metadata = told.schema.field(column.name).metadata
            assert (metadata[b"unit"].decode(), metadata[b"meaning"].decode()) == (column.unit, column.meaning)
            assert told.schema.field(column.name).nullable == column.may_lack


def test_json_holds_all_tables(exported: Path) -> None:
    """One object; numbers are numbers, and what lacks is null."""
    told = json.loads((exported / "x.json").read_text())
    assert set(told) == set(TABLES)
    assert told["frames"][0]["seq"] is None
    assert told["frames"][1]["seq"] == 0
    assert told["flows"][2]["opened"] == "refused"


def test_calls_and_edges_are_those_of_the_story(tmp_path: Path) -> None:
    """Of a recording: each call, each packet that it sent or awaited, by which octets."""
    assert export(OWN, "-o", tmp_path / "x.json").returncode == 0
    told = json.loads((tmp_path / "x.json").read_text())
    words = [sys.executable, "-P", "-m", "rawlab", "replay", str(OWN), "--format", "json"]
    said = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=100)
    story = json.loads(said.stdout)
    assert [(call["call"], call["name"], call["why"]) for call in told["calls"]] == [
        (call["n"], call["call"], call["why"]) for call in story["calls"]
    ]
    edges = {(edge["packet"], edge["call"]) for edge in told["edges"] if edge["call"] and edge["kind"] != "awaited"}
    assert {edge["packet"] for edge in told["edges"]} == {packet["n"] for packet in story["packets"]}
    assert edges == {(packet["n"], call) for packet in story["packets"] for call in packet["cause"]["calls"]}
    awaited = {(edge["packet"], edge["call"]) for edge in told["edges"] if edge["kind"] == "awaited"}
    assert awaited == {(packet, call["n"]) for call in story["calls"] for packet in call["waited_for"]}
    octets = {(edge["call"], edge["first"], edge["last"] + 1) for edge in told["edges"] if edge["first"] is not None}
    assert octets == {tuple(part) for packet in story["packets"] for part in packet["cause"]["bytes"]}
    frames = {frame["number"] for frame in told["frames"]}
    assert {edge["frame"] for edge in told["edges"]} <= frames


@pytest.mark.parametrize("table", ["calls", "flows"])
def test_one_table_alone(mixed: Path, tmp_path: Path, table: str) -> None:
    """--table: that one, in OUT, and no other file."""
    assert export(mixed, "-o", tmp_path / "x.csv", "--table", table).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    header = (tmp_path / "x.csv").read_text().splitlines()[0]
    assert header.split(",") == [column.name for column in TABLES[table]]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not here")
def test_frames_are_tsharks(mixed: Path, exported: Path) -> None:
    """Lengths, relative numbers and windows, frame by frame."""
    ours = {"frame.number": "number", "frame.len": "length", "tcp.seq": "seq", "tcp.len": "payload"}
    ours |= {"tcp.window_size_value": "window", "tcp.seq_raw": "seq_absolute"}
    words = ["tshark", "-r", str(mixed), "-Y", "tcp", "-T", "fields", *(w for field in ours for w in ("-e", field))]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [[row[name] for name in ours.values()] for row in read(exported / "x.csv") if row["protocol"] == "tcp"]
    assert rows == [line.split("\t") for line in said.splitlines()]


def test_the_columns_are_documented() -> None:
    """--columns needs no capture: each with its meaning."""
    said = export("--columns").stdout
    for columns in TABLES.values():
        for column in columns:
            assert f"  {column.name} " in said
            assert column.meaning in said


def test_nothing_is_overwritten(mixed: Path, tmp_path: Path) -> None:
    """Neither OUT nor what would stand beside it, unless --force says so; then no half of it is made."""
    (tmp_path / "x-flows.csv").write_text("mine")
    done = export(mixed, "-o", tmp_path / "x.csv")
    assert done.returncode == 6
    assert "x-flows.csv: exists; nothing is overwritten without --force" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x-flows.csv"]
    assert export(mixed, "-o", tmp_path / "x.csv", "--force").returncode == 0
    assert (tmp_path / "x-flows.csv").read_text() != "mine"


def test_no_cell_is_a_formula() -> None:
    """What a capture says stays text in a spreadsheet; and nothing moves the cursor of a terminal."""
    file = io.BytesIO()
    names = [column.name for column in TABLES["edges"]]
    texts = {"kind": ["=1+1"], "confidence": ["@x"], "reason": ["\x1b[2J"]}
    Csv(file, "edges").write({name: texts.get(name, [1]) for name in names})
    assert file.getvalue().decode().splitlines()[1] == "1,1,1,'=1+1,1,1,'@x,\\x1b[2J"


def test_damage_is_told_and_what_is_whole_is_there(tmp_path: Path) -> None:
    """Exit code 5, and the frames before it."""
    (tmp_path / "cut.pcap").write_bytes(many.pcap(many.mixed())[:-10])
    done = export(tmp_path / "cut.pcap", "-o", tmp_path / "x.csv")
    assert done.returncode == 5
    assert "16 packets read, damaged at byte" in done.stderr
    assert len(read(tmp_path / "x.csv")) == 16


def test_an_empty_capture_has_empty_tables(tmp_path: Path) -> None:
    """Their columns stand there."""
    (tmp_path / "none.pcap").write_bytes(many.pcap([]))
    for ending in ("csv", "json", "parquet"):
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        done = export(tmp_path / "none.pcap", "-o", tmp_path / f"x.{ending}")
        assert (done.returncode, done.stderr.count("\n")) == (0, ending != "json")
    assert read(tmp_path / "x-flows.csv") == []
    assert json.loads((tmp_path / "x.json").read_text())["frames"] == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "a capture and -o OUT expected"),
        (["nothing.pcap", "-o", "x.csv"], 4, "nothing.pcap: No such file"),
        ([str(OWN), "-o", "x.xlsx"], 2, "there are: .parquet, .csv, .json"),
        ([str(Path(__file__)), "-o", "x.csv"], 4, "is no capture"),
        ([str(OWN), "-o", "no/such/x.csv"], 6, "can't be written"),
    ],
)
def test_bad_input_is_one_line(words: list[str], code: int, says: str, tmp_path: Path) -> None:
    """And no file is left."""
    done = export(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(mixed: Path) -> None:
    """What was begun is taken away, and one line says why."""
    with tempfile.TemporaryDirectory() as folder:
        limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); "
        limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        code = f"{limit}sys.argv[0] = 'rawlab'; runpy.run_module('rawlab', run_name='__main__')"
        words = [sys.executable, "-P", "-c", code, "export", str(mixed), "-o", f"{folder}/x.json"]
        done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=100)
        assert (done.returncode, done.stderr.count("\n")) == (6, 1)
        assert "can't be written whole: File too large; nothing is left of it" in done.stderr
        assert os.listdir(folder) == []
