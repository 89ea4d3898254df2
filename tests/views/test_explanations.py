"""What each row means: said where the facts show it, with the right numbers, and not where they do not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.attribution.telling import tell
from rawlab.model.facts import TcpOption, TcpSegment
from rawlab.model.story import Story
from rawlab.views.captions import packet_words
from rawlab.views.explanations import explanations
from rawlab.views.rows import rows
from rawlab.views.tcp_explained import Conversations
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.ladders import OPEN
from tests.attribution.test_unproven import without_calls
from tests.views.stories import ECHO, echo

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
CLOSE = f"""{OPEN}
c7  client   400-420  close(3) = 0
p4  client>  410-415  [F.] seq 1, ack 1
p5  server>  425-430  [.] ack 2
c8  server   440-460  close(4) = 0
p6  server>  450-455  [F.] seq 1, ack 2
p7  client>  456-460  [.] ack 2
"""


def story_of(name: str) -> Story:
    return load(CAPTURES[0].with_name(f"{name}.pcapng"))


def packet(story: Story, flags: str, n: int = 0) -> str:
    """What the nth TCP segment with those flags means."""
    found = [one.n for one in story.packets if getattr(one.facts.transport, "flags", None) == flags]
    return explanations(story)[f"p{found[n]}"]


def call(story: Story, name: str) -> str:
    """What the first call of that name means; '' where nothing is said."""
    found = next(told.label for told in story.calls if told.call.name == name)
    return explanations(story).get(found, "")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_capture_s_rows_are_explained_in_sentences_with_a_source(path: Path) -> None:
    """Each explanation is of a row that is there, ends as a sentence, and nearly each names its RFC or man page."""
    story = load(path)
    labels = {row.label for row in rows(story)}
    for label, said in explanations(story).items():
        assert label in labels
        assert re.fullmatch(r"[^\n]+\.", said), said
        assert "  " not in said
        assert re.search(r"\(RFC \d+|\(\w+\(\d\)|\(\w+\(2\), |an ACK does not say\.", said), said


def test_the_options_of_syn() -> None:
    """mss less its headers, the window's scale as a factor, the initial sequence number as on the wire."""
    story = story_of("tcp-echo")
    syn = next(one for one in story.packets if getattr(one.facts.transport, "flags", "") == "S")
    segment = syn.facts.transport
    assert isinstance(segment, TcpSegment)
    said = packet(story, "S")
    assert f"seq 0 stands for {segment.seq.value}, the initial sequence number" in said
    assert "mss 1460: it takes up to 1460 octets a segment, 1500 less 20 for IPv4's header and 20 for TCP's" in said
    shift = next(option.values[0] for option in segment.options if option.kind == 3)
    assert f"wscale {shift}: its later windows count {2**shift} octets each, if both SYNs have it" in said
    assert "Both SYNs have sackOK, TS and wscale, and so may both ends use them." in packet(story, "SA")


def test_ipv6_s_header_is_twice_as_long() -> None:
    """1440 is 1500 less 40 and 20."""
    syn = next(one for one in story_of("tcp-echo").packets if getattr(one.facts.transport, "flags", "") == "S")
    segment, ip = syn.facts.transport, syn.facts.ip
    assert isinstance(segment, TcpSegment)
    assert ip is not None
    offer = replace(segment, options=(TcpOption(kind=2, values=(1440,)),))
    facts = replace(syn.facts, ip=replace(ip, version=6, source="fd00::1", destination="fd00::2"), transport=offer)
    said = Conversations().explain(replace(syn, facts=facts))
    assert "1440 octets a segment, 1500 less 40 for IPv6's header and 20 for TCP's" in said


def test_windows_are_scaled_only_where_both_syns_say_so() -> None:
    """The first segment after the handshake tells the factor; where one SYN was not seen, nothing is said."""
    story = story_of("tcp-echo")
    third = next(one for one in story.packets if getattr(one.facts.transport, "flags", "") == "A")
    segment = third.facts.transport
    assert isinstance(segment, TcpSegment)
    octets = f"{segment.window} × 1024 = {segment.window * 1024} octets"
    assert f"From here on windows are scaled: {octets}" in packet(story, "A")
    syn = story.packets[2].frames
    cut = replace(story.timeline, frames=tuple(frame for frame in story.frames if frame.number not in syn))
    assert "scaled" not in " ".join(explanations(tell(cut, decode)).values())


def test_octets_are_acknowledged_by_the_number_that_follows() -> None:
    """And an ACK says nothing of the process."""
    assert packet(echo(), "PA").startswith("Its 5 octets will be acknowledged by ack 6,")
    assert "whether a process has read them, an ACK does not say" in packet(story_of("tcp-echo"), "A", 1)


def test_a_full_segment_is_as_long_as_the_mss_allows() -> None:
    """1448 with time stamps."""
    said = " ".join(explanations(story_of("tcp-close")).values())
    assert "1448 octets are as many as fit: the peer's mss, 1460, less 12 for options" in said


def test_time_wait_is_where_it_closed_first() -> None:
    """On the packet by which it is entered, and on no other."""
    said = explanations(tell(read(CLOSE), decode))
    assert "It closed first, so it waits in TIME-WAIT" in said["p7"]
    assert sum("TIME-WAIT" in each for each in said.values()) == 1


def test_fin_takes_a_number() -> None:
    """The first leaves the other direction open, the second does not."""
    story = tell(read(CLOSE), decode)
    assert packet(story, "FA") == (
        "FIN takes number 1, and is acknowledged by ack 2; the other direction stays open (RFC 9293 sections 3.4, 3.6)."
    )
    assert "stays open" not in packet(story, "FA", 1)


def test_a_window_update_acknowledges_nothing_new() -> None:
    """And a closed window says so."""
    said = list(explanations(story_of("tcp-window")).values())
    assert any("win 0: it has no room" in each for each in said)
    assert any(each.startswith("A window update: nothing new is acknowledged") for each in said)


def test_a_lost_packet_is_missed_by_nobody_else() -> None:
    """A lost ACK need not be sent again; lost data is learnt of by silence."""
    assert "A lost ACK is not missed" in packet(echo(), "A", 1)


def test_a_refusal_says_whom_it_answers() -> None:
    """And connect, that a host is there."""
    story = story_of("tcp-refused")
    assert packet(story, "RA").startswith("RST refuses the connection")
    assert call(story, "connect").startswith("The answer is a reset: the host is there")


def test_calls() -> None:
    """accept hands over, connect blocks, write promises little, close does not wait."""
    story = story_of("tcp-echo")
    assert call(story, "accept").startswith("The kernel had finished the handshake by itself; accept only hands")
    assert "and not until the server accepts" in call(story, "connect")
    assert "not that they have arrived" in call(story, "write")
    assert call(story, "close").startswith("close does not wait")


def test_a_close_that_may_linger_is_not_said_not_to_wait() -> None:
    """SO_LINGER changes it (socket(7))."""
    lingers = "c70 client   380-390  setsockopt(3, SOL_SOCKET, SO_LINGER, [1, 5]) = 0\nc7  client   400-420"
    story = tell(read(CLOSE.replace("c7  client   400-420", lingers)), decode)
    closing = next(told for told in story.calls if told.call.name == "close")
    assert closing.label not in explanations(story)


def test_a_capture_without_calls_is_explained_by_its_packets() -> None:
    """All of them are packets'."""
    said = explanations(without_calls(ECHO))
    assert said
    assert all(label.startswith("p") for label in said)


def test_an_sctp_association_s_chunks() -> None:
    """Each kind of chunk once, with its section."""
    said = " ".join(explanations(story_of("sctp-echo")).values())
    for word, section in (("INIT: ", "3.3.2"), ("COOKIE ECHO: ", "5.1.5"), ("SACK: ", "3.3.4"), ("SHUTDOWN: ", "9.2")):
        assert re.search(rf"{word}[^()]*\(RFC 9260 section {re.escape(section)}\)", said)


def test_a_fragment_s_notation_is_spelt_out() -> None:
    """frag id@offset+: which octets of which packet, and whether more follow; UDP's length is the whole message's."""
    told = explanations(story_of("raw-fragments"))
    assert "frag 1@0+: of the packet with identification 1, octets 0 to 23 of what follows the IP header" in told["p3"]
    assert "the whole message of 60 octets, of which 16 are here" in told["p3"]
    assert "octets 24 to 47" in told["p2"]
    assert "the + says that further fragments follow" in told["p2"]
    assert "frag 1@48: of the packet with identification 1, octets 48 to 67" in told["p1"]
    assert "without +, it is the last" in told["p1"]


def test_an_ack_that_waited_says_how_long() -> None:
    """40 ms behind the data; one at once says nothing of it."""
    late = ECHO.replace("p5  server>  435-     [.] ack 6", "p5  server>  40430-     [.] ack 6")
    rest = "\n".join(line for line in late.split("\n") if not line.startswith(("c8", "p6", "p7", "c9", "p8", "c10")))
    assert "It left 40 ms after the octets came" in packet(tell(read(rest), decode), "A", 1)
    assert "after the octets came" not in " ".join(explanations(echo()).values())


def test_an_ack_above_half_a_second_was_not_delayed() -> None:
    """RFC 9293 section 3.8.6.3 allows less than 0.5 s; nor is a wait known of what was not seen to come."""
    late = ECHO.replace("p5  server>  435-     [.] ack 6", "p5  server>  600430-   [.] ack 6")
    rest = "\n".join(line for line in late.split("\n") if not line.startswith(("c8", "p6", "p7", "c9", "p8", "c10")))
    assert "after the octets came" not in " ".join(explanations(tell(read(rest), decode)).values())


GAP = f"""{OPEN}
c7  client   400-420  write(3, "aabb", 4) = 4
p4  client>  410-     [.] seq 1:3, ack 1 "aa"
p5  client>  411      [P.] seq 3:5, ack 1 "bb"
p6  server>  440      [.] ack 1
p7  client>  600      [.] seq 1:3, ack 1 "aa"
p8  server>  640      [.] ack 5
"""


def test_an_ack_that_fills_a_gap_is_not_one_for_many() -> None:
    """Each segment beyond the gap had its answer already (RFC 5681 section 4.2); without a gap, one ACK is for two."""
    said = explanations(tell(read(GAP), decode))["p8"]
    assert said.startswith("A gap is filled: that is acknowledged at once, with all that is in order by now (RFC 5681")
    unanswered = "\n".join(line for line in GAP.splitlines() if not line.startswith("p6")).replace("p7", "p6")
    assert "One ACK" not in explanations(tell(read(unanswered.replace("p8", "p7")), decode))["p7"]
    arrives, without = GAP.replace("410- ", "410  "), ("p6", "p7")
    whole = "\n".join(line for line in arrives.splitlines() if not line.startswith(without)).replace("p8", "p6")
    assert explanations(tell(read(whole), decode))["p6"].startswith("One ACK for 2 segments")


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ((1, 3), "octets that came twice (RFC 2883"),
        ((8, 9, 7, 10), "octets that came twice (RFC 2883"),
        ((7, 10), "octets that came beyond a gap"),
        ((7, 10, 12, 14), "octets that came beyond a gap"),
    ],
)
def test_a_sack_of_octets_that_came_twice(blocks: tuple[int, ...], says: str) -> None:
    """RFC 2883: its first block is below ack, or within the second."""
    packet = tell(read(GAP), decode).packets[7]
    segment = packet.facts.transport
    assert isinstance(segment, TcpSegment)
    edges = tuple((segment.ack + number - 5).value for number in blocks)
    told = replace(segment, options=(TcpOption(kind=5, values=edges),))
    assert says in Conversations().explain(replace(packet, facts=replace(packet.facts, transport=told)))


PROBED = f"""{OPEN}
c7  client   400-420  write(3, "aabb", 4) = 4
p4  client>  410      [.] seq 1:3, ack 1 "aa"
p5  server>  440      [.] ack 3, win 0
p6  client>  300000   [.] seq 2, ack 1
p7  server>  300040   [.] ack 3, win 0
"""


def test_a_probe_s_number_is_told_and_drawn() -> None:
    """One below what was acknowledged: in words, and in the picture, where an ACK has none else."""
    story = tell(read(PROBED), decode)
    said = explanations(story)["p6"]
    assert said.startswith("seq 2, one below what was acknowledged: nothing new, but the receiver must answer (")
    assert "3.8.6.1" in said
    assert [packet_words(story.packets[n], story)[0][0] for n in (5, 6)] == ["[.] seq 2 ack 1", "[.] ack 3"]


@pytest.mark.parametrize(
    ("name", "call_name", "says"),
    [
        ("tcp-nonblocking", "fcntl", "A call that would have to wait now fails with EAGAIN, connect with EINPROGRESS"),
        ("udp-simple", "sendto", "whether it arrives, nobody will say"),
        ("tcp-concurrent", "fork", "Each open socket is now held by two processes"),
        ("tcp-half-close", "shutdown", "Only this direction ends"),
    ],
)
def test_other_calls(name: str, call_name: str, says: str) -> None:
    """In the captures of the labs that are about them."""
    assert says in call(story_of(name), call_name)
