"""The structures of SCTP's socket options: values into octets as C's compiler lays them out, and back."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rawlab.live import libc, sctp_api
from rawlab.model.address import Endpoint
from rawlab.wire import sctp_names

HEADER = Path("/usr/include/linux/sctp.h")
PEER, PEER6 = Endpoint("10.0.0.2", 7), Endpoint("fd00::2", 7)
PATH = (1, PEER, "SCTP_ACTIVE", 4380, 20, 1000, 1500)
VALUES: dict[str, tuple[str, sctp_api.Optval]] = {
    "SO_LINGER": ("linger", (1, 0)),
    "SCTP_RTOINFO": ("sctp_rtoinfo", (1, 3000, 60000, 1000)),
    "SCTP_ASSOCINFO": ("sctp_assocparams", (1, 10, 2, 65536, 32768, 60000)),
    "SCTP_INITMSG": ("sctp_initmsg", (10, 2048, 8, 60000)),
    "SCTP_PRIMARY_ADDR": ("sctp_prim", (1, PEER6)),
    "SCTP_SET_PEER_PRIMARY_ADDR": ("sctp_setpeerprim", (1, PEER)),
    "SCTP_PEER_ADDR_PARAMS": (
        "sctp_paddrparams",
        (1, PEER6, 30000, 5, 1500, 200, "SPP_HB_ENABLE|SPP_PMTUD_ENABLE"),
    ),
    "SCTP_DELAYED_SACK": ("sctp_sack_info", (1, 200, 2)),
    "SCTP_MAXSEG": ("sctp_assoc_value", (1, 512)),
    "SCTP_MAX_BURST": ("sctp_assoc_value", (1, 4)),
    "SCTP_STATUS": ("sctp_status", (1, "SCTP_SHUTDOWN_PENDING", 65536, 1, 2, 10, 20, 1452, PATH)),
    "SCTP_GET_PEER_ADDR_INFO": ("sctp_paddrinfo", PATH),
    "SCTP_SOCKOPT_PEELOFF": ("", (1, 5)),
    "SCTP_EVENTS": ("", (1, 1, 0, 1, 0, 1, 0, 1, 0, 1)),
}
# Members that a later kernel has added at the end, and we leave out.
ADDED = {"sctp_paddrparams": 4}


def packed(optname: str, value: sctp_api.Optval) -> bytes:
    """As the kernel would fill it in."""
    if optname == "SCTP_STATUS" and isinstance(value, tuple):
        *flat, path = value
        assert isinstance(path, tuple)
        return sctp_api.question(optname, (*flat, *path))
    return sctp_api.pack(optname, value)


def test_every_struct_has_an_example() -> None:
    """So that the next tests look at all."""
    assert set(VALUES) == set(sctp_api.LAYOUTS)


@pytest.mark.parametrize("optname", VALUES)
def test_what_was_written_is_read(optname: str) -> None:
    """All members, states and flags by their names."""
    assert sctp_api.unpack(optname, packed(optname, VALUES[optname][1])) == VALUES[optname][1]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Sizes and constants as a C compiler has them."""
    if shutil.which("gcc") is None or not HEADER.exists():
        pytest.skip("not installed: gcc, linux/sctp.h")
    folder = tmp_path_factory.mktemp("sctp_h")
    structs = {struct for struct, _ in VALUES.values() if struct} | {"sctp_sndrcvinfo"}
    names = [name for name in sctp_names.NUMBERS if name != "SOL_SCTP"]
    lines = [f'printf("sizeof {struct} %zu\\n", sizeof(struct {struct}));' for struct in sorted(structs)]
    lines += [f'printf("{name} %ld\\n", (long)({name}));' for name in names]
    source = folder / "sizes.c"
    heads = "".join(f"#include <{name}.h>\n" for name in ("stdio", "stdint", "sys/socket", "linux/sctp"))
    body = "\n".join(lines)
    source.write_text(f"{heads}int main(void) {{\n{body}\nreturn 0; }}\n")
    made = subprocess.run(["gcc", "-o", str(folder / "sizes"), str(source)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    told = subprocess.run([str(folder / "sizes")], capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, _, number in (line.rpartition(" ") for line in told.splitlines())}


@pytest.mark.parametrize("optname", [name for name, (struct, _) in VALUES.items() if struct])
def test_a_struct_is_as_long_as_c_has_it(compiled: dict[str, int], optname: str) -> None:
    """Padding included."""
    struct, value = VALUES[optname]
    assert len(packed(optname, value)) == compiled[f"sizeof {struct}"] - ADDED.get(struct, 0)


def test_numbers_are_the_header_s(compiled: dict[str, int]) -> None:
    """Each constant that libc.number knows of SCTP's."""
    for name, number in sctp_names.NUMBERS.items():
        assert libc.number(name) == number
        assert compiled.get(name, number) == number, name


def test_members_left_out_are_zero() -> None:
    """As in C; a single number is the first member of what is asked."""
    assert sctp_api.pack("SCTP_RTOINFO", (0, 500)) == sctp_api.pack("SCTP_RTOINFO", (0, 500, 0, 0))
    assert sctp_api.question("SCTP_STATUS", 3)[:4] == b"\3\0\0\0"
    assert sctp_api.unpack("SCTP_PRIMARY_ADDR", sctp_api.pack("SCTP_PRIMARY_ADDR", (1,))) == (1, None)


def test_lists_of_addresses() -> None:
    """sctp_bindx takes them one after the other, IPv4's shorter; sctp_getpaddrs gives them with their count."""
    ends = (PEER, PEER6, PEER)
    raw = sctp_api.pack("SCTP_SOCKOPT_BINDX_ADD", ends)
    assert len(raw) == 16 + 28 + 16
    assert sctp_api.addresses(raw) == ends
    answer = (1).to_bytes(4, "little") + (3).to_bytes(4, "little") + raw + bytes(100)
    assert sctp_api.unpack("SCTP_GET_PEER_ADDRS", answer) == (1, 3, ends)
    assert sctp_api.unpack("SCTP_GET_ASSOC_ID_LIST", bytes([2, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0])) == (2, (5, 9))


def test_an_option_without_a_struct_is_an_int() -> None:
    """SCTP_NODELAY, SO_REUSEADDR; negative ones too."""
    for value in (0, 1, -1, 65536):
        assert sctp_api.unpack("SCTP_NODELAY", sctp_api.pack("SCTP_NODELAY", value)) == value
    assert sctp_api.question("SO_ERROR", 0) == bytes(4)


@pytest.mark.parametrize(
    ("optname", "value", "message"),
    [
        ("SCTP_RTOINFO", (0, 1, 2, 3, 4), "SCTP_RTOINFO: 5 values came, its struct has 4 members"),
        ("SCTP_INITMSG", (70000,), "SCTP_INITMSG: sinit_num_ostreams: 70000 came"),
        ("SCTP_INITMSG", ("ten",), "SCTP_INITMSG: sinit_num_ostreams: 'ten' came"),
        ("SCTP_PEER_ADDR_PARAMS", (0, PEER, 0, 0, 0, 0, "SPP_ODD"), "SPP_ODD: expected one of SPP_HB_ENABLE, "),
        ("SCTP_PRIMARY_ADDR", (0, 7), "SCTP_PRIMARY_ADDR: ssp_addr: 7 came"),
    ],
)
def test_what_does_not_fit_is_refused(optname: str, value: sctp_api.Optval, message: str) -> None:
    """With the option, the member and what came."""
    with pytest.raises(ValueError, match=re.escape(message)):
        sctp_api.pack(optname, value)
