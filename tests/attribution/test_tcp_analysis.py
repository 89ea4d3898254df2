"""What each segment of a connection turns out to be: one test a rule, each a short dialogue.

A line is who sends (`>` the client, `<` the server), seq:length, ack, window, and what follows `=` is what is found.
That tshark says the same of thousands of random dialogues is tested in `tests/test_tshark_analysis.py`.
"""

from __future__ import annotations

from random import Random

import pytest

from rawlab.attribution.tcp_analysis import FAST_NS, REORDERING_NS, TcpAnalysis
from rawlab.attribution.tcp_side import MOST_UNACKNOWLEDGED
from rawlab.model.analysis import Finding, Mark
from tests.attribution.random_tcp import ACK, CIRCLE, FIN, RST, SYN, lossy, wild

MS = 1_000_000
FLAGS = {"S": SYN, "F": FIN, "R": RST, ".": ACK}
OPEN = """
> S 100:0 0 1000 scale 7
< S. 500:0 101 1000 scale 2
> . 101:0 501 1000
"""


def follow(dialogue: str, one: TcpAnalysis | None = None, after_ms: float = 10) -> list[Finding]:
    """Each line's finding, which must have the marks that the line says; lines are `after_ms`, or its own, apart."""
    one = one or TcpAnalysis()
    found: list[Finding] = []
    at_ns = 10**18
    for number, line in enumerate(dialogue.strip().splitlines(), 1):
        said, _, expected = line.partition("=")
        words = said.split()
        at_ns += round(float(words.pop()[1:]) * MS) if words[-1].startswith("+") else round(after_ms * MS)
        seq, length = words[2].split(":")
        scale = int(words[6]) if len(words) > 6 else None
        flags = sum(FLAGS[letter] for letter in words[1])
        finding = one.see(
            number=number,
            at_ns=at_ns,
            forward=words[0] == ">",
            seq=int(seq) % CIRCLE,
            ack=int(words[3]) % CIRCLE,
            flags=flags,
            window=int(words[4]),
            length=int(length),
            wscale=scale,
        )
        assert finding.marks == sum(Mark[word] for word in expected.split()), (line, finding.marks)
        found.append(finding)
    return found


def test_a_handshake_has_no_marks() -> None:
    """Numbers are relative to the SYN's, windows scaled from behind the SYNs on."""
    found = follow(OPEN + "> . 101:10 501 10")
    numbers = [(one.seq, one.ack, one.window) for one in found]
    assert numbers == [(0, 0, 1000), (0, 1, 1000), (1, 1, 128000), (1, 1, 1280)]
    assert [one.acks for one in found] == [None, 1, 2, None]
    assert found[2].rtt_ns == 10 * MS


def test_joined_in_the_middle_the_first_octet_is_number_1() -> None:
    """Of each direction; the other one's numbers begin where they are first acknowledged. Nothing is scaled."""
    found = follow("> . 7001:10 901 50\n< . 901:5 7011 60")
    assert [(one.seq, one.ack, one.window) for one in found] == [(1, 1, 50), (1, 11, 60)]


def test_no_option_in_the_answer_no_scaling() -> None:
    """Both SYNs must have it (RFC 7323 section 2.2)."""
    found = follow("> S 100:0 0 1000 scale 7\n< S. 500:0 101 1000\n> . 101:0 501 1000")
    assert found[-1].window == 1000


def test_octets_sent_again_after_a_while() -> None:
    """A retransmission: its RTO is counted from the eldest segment that is not acknowledged."""
    found = follow(OPEN + "> . 101:10 501 9 \n> . 111:10 501 9\n> . 101:10 501 9 +200 = RETRANSMISSION")
    assert (found[-1].rto_ns, found[-1].rto_of, found[-1].in_flight) == (210 * MS, 4, 20)


def test_octets_sent_again_after_duplicate_acks() -> None:
    """A fast retransmission (RFC 5681 section 3.2), if it comes soon after the second duplicate."""
    loss = OPEN + """> . 101:10 501 9
> . 111:10 501 9
> . 121:10 501 9
< . 501:0 111 1000
< . 501:0 111 1000 = DUPLICATE_ACK
< . 501:0 111 1000 = DUPLICATE_ACK
"""
    found = follow(loss + "> . 111:10 501 9 +19 = RETRANSMISSION FAST_RETRANSMISSION")
    assert [(one.duplicate_of, one.duplicate_number) for one in found[6:9]] == [(None, 0), (7, 1), (7, 2)]
    assert found[-1].rto_ns is None
    late = FAST_NS // MS
    follow(loss + f"> . 111:10 501 9 +{late} = RETRANSMISSION")


def test_octets_sent_again_though_acknowledged() -> None:
    """A spurious retransmission."""
    follow(OPEN + "> . 101:10 501 9\n< . 501:0 111 9\n> . 101:10 501 9 = RETRANSMISSION SPURIOUS_RETRANSMISSION")


def test_a_segment_that_was_overtaken() -> None:
    """Soon behind one that goes further: within the initial RTT, or some ms where that is not known."""
    follow(OPEN + "> . 111:10 501 9 = LOST_SEGMENT\n> . 101:10 501 9 +19 = OUT_OF_ORDER")
    follow(OPEN + "> . 111:10 501 9 = LOST_SEGMENT\n> . 101:10 501 9 +20 = RETRANSMISSION")
    late = REORDERING_NS // MS
    follow(f"> . 11:1 1 9\n> . 22:1 1 9 = LOST_SEGMENT\n> . 12:5 1 9 +{late - 1} = OUT_OF_ORDER")
    follow(f"> . 11:1 1 9\n> . 22:1 1 9 = LOST_SEGMENT\n> . 12:5 1 9 +{late} = RETRANSMISSION")


def test_an_ack_of_what_was_not_captured() -> None:
    """Is said once, until there is more to say."""
    follow(
        OPEN
        + """> . 101:10 501 9
< . 501:0 121 1000 = ACK_LOST_SEGMENT
< . 501:10 121 1000
> . 131:10 511 9 = LOST_SEGMENT
< . 511:0 141 1000 = ACK_LOST_SEGMENT
< . 511:10 141 1000
"""
    )


def test_in_flight_is_not_known_behind_a_gap() -> None:
    """Until the other direction acknowledges something."""
    gap = OPEN + "> . 111:10 501 9 = LOST_SEGMENT\n> . 121:10 501 9\n"
    found = follow(gap + "< . 501:0 101 9 = WINDOW_UPDATE\n> . 131:10 501 9")
    assert [one.in_flight for one in found[3:]] == [None, None, None, 30]


def test_a_keep_alive_and_its_answer() -> None:
    """The octet before the next one (RFC 1122 section 4.2.3.6)."""
    follow(OPEN + "< . 501:0 101 9 = WINDOW_UPDATE\n> . 100:0 501 9 = KEEP_ALIVE\n< . 501:0 101 9 = KEEP_ALIVE_ACK")
    follow(OPEN + "< . 501:0 101 9 = WINDOW_UPDATE\n> . 100:1 501 9 = KEEP_ALIVE\n< . 501:0 101 9 = KEEP_ALIVE_ACK")


def test_a_window_that_is_full_then_zero_then_open() -> None:
    """The answer to a window probe repeats the zero; then an update opens it (RFC 9293 section 3.8.6)."""
    follow(
        OPEN
        + """< . 501:0 101 10 = WINDOW_UPDATE
> . 101:40 501 9 = WINDOW_FULL
< . 501:0 141 0 = ZERO_WINDOW
> . 141:1 501 9 = ZERO_WINDOW_PROBE
< . 501:0 141 0 = ZERO_WINDOW ZERO_WINDOW_PROBE_ACK
< . 501:0 141 10 = WINDOW_UPDATE
> . 141:40 501 9 = WINDOW_FULL
"""
    )


def test_a_segment_that_fills_the_window_but_closes() -> None:
    """SYN, FIN and RST never are marked for their windows."""
    follow(OPEN + "< . 501:0 101 10 = WINDOW_UPDATE\n> F. 101:40 501 0\n< R. 501:0 141 0")


def test_a_syn_sent_again() -> None:
    """And its answer, as any segment that takes a sequence number."""
    follow(
        "> S 100:0 0 9\n> S 100:0 0 9 +1000 = RETRANSMISSION\n< S. 500:0 101 9\n< S. 500:0 101 9 +1000 = RETRANSMISSION"
    )


def test_ports_used_again() -> None:
    """A SYN with another number begins a connection of its own."""
    one = TcpAnalysis()
    follow(OPEN, one)
    assert not one.begins_anew(True, 100, SYN)
    assert not one.begins_anew(True, 900, SYN | ACK)
    assert not one.begins_anew(True, 900, ACK)
    assert one.begins_anew(True, 900, SYN)
    follow("> S 900:0 0 9 = REUSED_PORTS\n< S. 7:0 901 9", TcpAnalysis(reused=True))


def test_an_answer_with_another_number() -> None:
    """SYN-ACK of another connection than the one that was seen: numbers are counted from there on."""
    found = follow("> . 101:5 501 9\n< . 501:0 106 9\n< S. 9000:0 101 9 = REUSED_PORTS LOST_SEGMENT")
    assert found[-1].seq == 0


def test_numbers_wrap_around() -> None:
    """At 2^32, as if nothing were."""
    found = follow(
        f"""> S {CIRCLE - 6}:0 0 9
< S. 500:0 {CIRCLE - 5} 9
> . {CIRCLE - 5}:10 501 9
< . 501:0 5 9
> . 5:10 501 9
> . 5:10 501 9 +500 = RETRANSMISSION
"""
    )
    assert [one.seq for one in found] == [0, 0, 1, 1, 11, 11]
    assert found[4].in_flight == 10


def test_only_so_many_segments_are_remembered() -> None:
    """Of a direction of which nothing is acknowledged: more take no memory, and no time each."""
    one = TcpAnalysis()
    for number in range(MOST_UNACKNOWLEDGED + 500):
        seq = 1000 + (number ^ (number > 1)) * 10  # two by two in the wrong order
        found = one.see(number=number, at_ns=number, forward=True, seq=seq, ack=1, flags=ACK, window=9, length=10)
        one.see(number=number, at_ns=number, forward=False, seq=1, ack=1000, flags=ACK, window=9, length=0)
    assert len(one.forward.unacknowledged) == MOST_UNACKNOWLEDGED
    assert found.in_flight == 10 * MOST_UNACKNOWLEDGED


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_a_dialogue_raises(seed: int) -> None:
    """Whatever is sent, finding its marks ends, and its numbers are on the circle."""
    random = Random(seed)
    for rows in (wild(random, 20, 60, 0.5), lossy(random, 2, 60)):
        analyses = {row.connection: TcpAnalysis() for row in rows}
        for number, row in enumerate(rows, 1):
            segment = row._asdict()
            del segment["connection"], segment["sack"]
            found = analyses[row.connection].see(number=number, sacked=random.randrange(CIRCLE), **segment)
            assert 0 <= found.seq < CIRCLE
            assert 0 <= found.ack < CIRCLE
            assert found.in_flight is None or found.in_flight > 0
