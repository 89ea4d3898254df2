"""A dialogue that was played again: turn by turn what the client says, what the server said, and what it says now."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from tabulate import tabulate

from rawlab.model.dialogue import ANSWER_MS, END_MS, Answered, Dialogue, Turn
from rawlab.views.counting import count
from rawlab.views.escape import for_format, terminal
from rawlab.views.folding import fold

_TITLES = "turn", "the client says", "the server said in the capture", "now"
_SHOWN, _LINES, _AROUND, _BLOCKS, _WIDE = 24, 12, 8, 5, 100
_TEXT = frozenset(b"\t\r\n") | frozenset(range(32, 127))
_LEAST = 12


def render(asked: Dialogue, told: Answered, format: str = "simple", width: int | None = None) -> str:
    """The table, then each difference; `format`: one of tabulate's, or json."""
    if format == "json":
        return json.dumps(_json(asked, told), indent=2)
    cells = [list(row) for row in _rows(asked, told)]
    harmless = for_format(format)
    cells = [[harmless(cell) for cell in row] for row in cells]
    if width is not None and format == "simple":
        room = max((width - 6 - 6) // 3, _LEAST)
        cells = [[row[0], *(fold(cell, room) for cell in row[1:])] for row in cells]
    table = tabulate(cells, _TITLES, tablefmt=format, disable_numparse=True)
    return table if format != "simple" else "\n\n".join([table, *_differences(asked, told), summary(asked, told)])


def same(asked: Dialogue, told: Answered) -> bool:
    """Whether the server says now all that it said, and nothing else."""
    turns = enumerate(zip(asked.turns, told.turns, strict=True))
    alike = all(turn_is_same(turn, now, _cut(asked, number)) for number, (turn, now) in turns)
    return alike and not _ends_otherwise(asked, told)


def turn_is_same(turn: Turn, now: Sequence[bytes] | None, cut: bool = False) -> bool:
    """Whether the answer is the captured one, as far as the capture holds it; `cut`: it ends within the answer."""
    if now is None:
        return False
    if cut and turn.answers and len(now) == 1:
        now = (now[0][: turn.octets],)
    return _known(turn) == _without(now, turn.unknown)


def _cut(asked: Dialogue, number: int) -> bool:
    """Whether the capture may end within this turn's answer: the last one's of a stream of which no end is seen."""
    open_still = not asked.server_ends and not asked.client_ends
    return asked.protocol == "tcp" and number == len(asked.turns) - 1 and open_still


def _known(turn: Turn) -> tuple[bytes, ...]:
    return _without(turn.answers, turn.unknown)


def _without(answers: Sequence[bytes], unknown: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Octets that the capture does not hold are 0 in both."""
    if not unknown or not answers:
        return tuple(answers)
    octets = bytearray(answers[0])
    for first, end in unknown:
        octets[first:end] = bytes(max(min(end, len(octets)) - first, 0))
    return (bytes(octets),)


def _ends_otherwise(asked: Dialogue, told: Answered) -> str | None:
    """How the end differs, in words."""
    if asked.refused or (told.call == "connect" and told.errno):
        then = f"in the capture the connection was {'refused' if asked.refused else 'taken'}"
        now = f"now {told.errno}" if told.call == "connect" and told.errno else "now it is taken"
        return None if asked.refused and told.errno == "ECONNREFUSED" else f"{then}, {now}"
    if asked.server_ends == "FIN" and told.ends is None and told.errno is None and None not in told.turns:
        return f"the server ended with FIN in the capture, now it does not within {END_MS / 1000:.0f} s"
    if asked.server_ends is None or told.ends is None or asked.server_ends == told.ends:
        return None
    if asked.client_ends in ("RST", "ABORT") or "ABORT" in (asked.server_ends, told.ends):
        return None
    return f"the server ended with {asked.server_ends} in the capture, now with {told.ends}"


def summary(asked: Dialogue, told: Answered) -> str:
    """'2 of 3 answers are the same', 'the answer is the same'."""
    numbered = enumerate(zip(asked.turns, told.turns, strict=True))
    turns = [(turn, now, _cut(asked, number)) for number, (turn, now) in numbered if turn.answers or now]
    alike = sum(turn_is_same(*turn) for turn in turns)
    said = f"{alike} of {len(turns)} answers are the same"
    if len(turns) == 1:
        said = f"the answer {'is the same' if alike else 'differs'}"
    elif not turns:
        said = "the server said nothing, now as then" if asked.turns else "nothing was said, now as then"
    end = _ends_otherwise(asked, told)
    after = any(told.turns[min(told.silent, default=len(told.turns)) + 1 :])
    late = "; what came after the wait is counted with a later turn" if after else ""
    broke = f"; it broke off: {told.call} failed with {told.errno}" if told.errno and told.call != "connect" else ""
    return said + (f"; {end}" if end else "") + broke + late


def _rows(asked: Dialogue, told: Answered) -> Iterator[tuple[str, str, str, str]]:
    for number, (turn, now) in enumerate(zip(asked.turns, told.turns, strict=True), 1):
        silent = number - 1 in told.silent
        yield str(number), _says(turn), _what(turn.answers), _verdict(turn, now, _cut(asked, number - 1), silent)


def _says(turn: Turn) -> str:
    return _what([saying.data for saying in turn.says]) if turn.says else "(waits)"


def _what(said: Sequence[bytes]) -> str:
    r"""'4 octets "bye\n"', '3 messages of 12 octets'; nothing: '–'."""
    if not said:
        return "–"
    whole = b"".join(said)
    several = f"{count(len(said), 'piece')}, " if len(said) > 1 else ""
    return f"{several}{count(len(whole), 'octet')} {_quoted(whole)}".rstrip()


def _quoted(octets: bytes) -> str:
    if not octets:
        return ""
    cut = "…" if len(octets) > _SHOWN else ""
    if all(octet in _TEXT for octet in octets[:_SHOWN]):
        text = octets[:_SHOWN].decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        text = text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
        return f'"{text}"{cut}'
    return octets[: _SHOWN // 2].hex(" ") + cut


def _verdict(turn: Turn, now: Sequence[bytes] | None, cut: bool, silent: bool) -> str:
    if now is None:
        return "not asked: the dialogue had ended"
    if turn_is_same(turn, now, cut):
        if not turn.answers:
            return "nothing either"
        hidden = sum(end - first for first, end in turn.unknown)
        more = sum(map(len, now)) - turn.octets
        left_out = f", but for {count(hidden, 'octet')} that the capture has not" if hidden else ""
        goes_on = f", and {count(more, 'octet')} more: the capture ends there" if more > 0 else ""
        return f"the same{left_out}{goes_on}"
    waited = f" {'after' if now else 'within'} {ANSWER_MS / 1000:.0f} s" if silent else ""
    return f"differs: {_what(now) if now else 'nothing'}{waited}"


def _differences(asked: Dialogue, told: Answered) -> Iterator[str]:
    """Each turn that differs: its lines, or the octets where they part."""
    numbered = enumerate(zip(asked.turns, told.turns, strict=True), 1)
    differing = [
        (n, turn, now)
        for n, (turn, now) in numbered
        if now is not None and not turn_is_same(turn, now, _cut(asked, n - 1))
    ]
    for number, turn, now in differing[:_BLOCKS]:
        lines = list(_compared(turn, now))
        more = [f"  … {len(lines) - _LINES} lines more"] if len(lines) > _LINES else []
        yield "\n".join([f"turn {number}, - as captured, + now:", *lines[:_LINES], *more])
    if len(differing) > _BLOCKS:
        yield f"… {len(differing) - _BLOCKS} turns more differ"


def _compared(turn: Turn, now: Sequence[bytes]) -> Iterator[str]:
    then, here = b"".join(turn.answers), b"".join(now)
    if not now and not then:
        yield f"  {count(len(turn.answers), 'empty message')} then, none now"
    elif [len(piece) for piece in turn.answers] != [len(piece) for piece in now] and then == here:
        sizes = (", ".join(str(len(piece)) for piece in pieces) for pieces in (turn.answers, now))
        yield f"  the same octets in other pieces: {' – '.join(sizes)} octets"
    elif all(octet in _TEXT for octet in then + here):
        before, after = (octets.decode("ascii").splitlines() for octets in (then, here))
        found = difflib.unified_diff(before, after, lineterm="", n=0)
        lines = (terminal(line) for line in found if not line.startswith(("---", "+++", "@@")))
        yield from (f"  {line[:_WIDE]}{'…' * (len(line) > _WIDE)}" for line in lines)
    else:
        at = next(place for place, (one, other) in enumerate(zip_longest(then, here)) if one != other)
        first = max(at - _AROUND, 0)
        yield f"  from octet {at + 1} on:"
        yield f"  -{then[first : at + _AROUND].hex(' ')}"
        yield f"  +{here[first : at + _AROUND].hex(' ')}"


def _json(asked: Dialogue, told: Answered) -> dict[str, Any]:
    turns = zip(asked.turns, told.turns, strict=True)
    return {
        "protocol": asked.protocol,
        "client": str(asked.client),
        "server": str(asked.server),
        "same": same(asked, told),
        "turns": [
            {
                "says": [saying.data.hex() for saying in turn.says],
                "answers": [answer.hex() for answer in turn.answers],
                "unknown": [list(span) for span in turn.unknown],
                "now": None if now is None else [answer.hex() for answer in now],
                "same": turn_is_same(turn, now, _cut(asked, number)),
            }
            for number, (turn, now) in enumerate(turns)
        ],
        "server_ends": asked.server_ends,
        "ends_now": told.ends,
        "failed": None if told.call is None else {"call": told.call, "errno": told.errno},
    }
