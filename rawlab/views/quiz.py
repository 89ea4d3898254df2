"""A quiz about a story: which cells of its table are hidden, what is right, and how many of someone's answers are.

Which cells are hidden follows from the seed alone, by a hash, so that everywhere and for ever the same seed asks the
same. `page.exam` makes the page that asks, `checking` reads what it saved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rawlab.errors import FormatError
from rawlab.model.facts import TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.story import Story
from rawlab.views.escape import terminal
from rawlab.views.page.markup import Line, lines

KINDS = ("seq", "ack", "state", "cause")
MOST = 10
"questions of a kind"
OTHERS = 4
"wrong choices of a cause, beside the right one and the kernel"
KERNEL = "kernel"
_MARK = "rawlab quiz"
_PATTERNS = {"seq": re.compile(r"\b(seq|TSN) (\d+)(?::\d+)?"), "ack": re.compile(r"\b(ack) (\d+)")}
_RULES = {
    ("seq", "TCP"): "the number of its first octet, or of its SYN or FIN, relative to its sender's SYN",
    ("ack", "TCP"): "the next number that its sender expects, relative to the peer's SYN: all before it have come",
    ("seq", "SCTP"): "the number of its first DATA chunk, relative to its sender's first",
    ("ack", "SCTP"): "the last number, relative to the peer's first, up to which all DATA chunks have come",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One hidden cell."""

    id: str
    "'p6.seq', 'p3.state.0'"
    step: int
    kind: str
    host: int | None
    "of a state: whose, its place"
    choices: tuple[tuple[str, str], ...]
    "(answer, words) to choose from; none: a number is typed"
    answers: tuple[str, ...]
    "the right ones"
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a page saved."""

    name: str
    attempt: int
    capture: str
    hide: tuple[str, ...]
    seed: int
    rows: frozenset[str] | None
    answers: dict[str, str]


def questions(story: Story, told: Sequence[Line], hide: Collection[str], seed: int) -> tuple[Question, ...]:
    """Half of each kind that is to be hidden, at most MOST, in the order of the rows."""
    asked: list[Question] = []
    for kind in KINDS:
        if kind in hide:
            could = sorted(_candidates(story, told, kind, seed), key=lambda one: _chance(seed, one.id))
            asked += could[: min(MOST, (len(could) + 1) // 2)]
    return tuple(sorted(asked, key=lambda one: (one.step, KINDS.index(one.kind), one.host or 0)))


def fingerprint(story: Story) -> str:
    """What tells this capture from every other: a hash of its packets."""
    digest = hashlib.sha256()
    for packet in story.packets:
        digest.update(b"%d %d " % (packet.at_ns, len(packet.data)) + bytes(packet.data))
    return digest.hexdigest()[:16]


def masked(line: Line, kinds: Collection[str]) -> str:
    """The row's words without the numbers asked for."""
    words = line.what
    for kind in kinds:
        words = _PATTERNS[kind].sub(r"\1 ?", words, count=1)
    return words


def right(question: Question, answer: str) -> bool:
    """Whether that is what was asked for; case and blanks do not matter. The page's script judges alike."""
    return _plain(answer) in map(_plain, question.answers)


def read(text: str, name: str) -> Submission:
    """What a page saved. Raises FormatError, naming the file."""
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(f"{name}: is no JSON; expected the answers that a quiz saved") from None
    if not isinstance(saved, dict) or saved.get(_MARK) != 1:
        raise FormatError(f"{name}: expected the answers that a quiz saved, '\"{_MARK}\": 1' is missing")
    _expect(name, "name", saved.get("name"), isinstance(saved.get("name"), str))
    for key in ("seed", "attempt"):
        _expect(name, key, saved.get(key), type(saved.get(key)) is int)
    _expect(name, "capture", saved.get("capture"), isinstance(saved.get("capture"), str))
    _expect(name, "hide", saved.get("hide"), _texts(saved.get("hide")) and set(saved["hide"]) <= set(KINDS))
    _expect(name, "rows", saved.get("rows"), saved.get("rows") is None or _texts(saved["rows"]))
    answers = saved.get("answers")
    _expect(name, "answers", answers, isinstance(answers, dict) and _texts(list(answers.values())))
    assert isinstance(answers, dict)
    return Submission(
        name=saved["name"],
        attempt=saved["attempt"],
        capture=saved["capture"],
        hide=tuple(saved["hide"]),
        seed=saved["seed"],
        rows=None if saved["rows"] is None else frozenset(saved["rows"]),
        answers=answers,
    )


def grade(story: Story, submission: Submission, name: str) -> list[tuple[Question, bool | None]]:
    """Each question, and whether the answer is right; None: there is none. Raises FormatError."""
    if submission.capture != fingerprint(story):
        raise FormatError(f"{name}: answers another capture's quiz ({submission.capture} is not {fingerprint(story)})")
    asked = questions(story, lines(story, submission.rows), submission.hide, submission.seed)
    if not asked:
        raise FormatError(f"{name}: such a quiz of this capture asks nothing")
    given = submission.answers
    return [(one, right(one, given[one.id]) if given.get(one.id, "").strip() else None) for one in asked]


def _expect(name: str, key: str, value: object, fits: bool) -> None:
    if not fits:
        raise FormatError(f"{name}: {key}: {json.dumps(value)[:40]} is not what a quiz saves")


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _plain(answer: str) -> str:
    return "".join(answer.split()).upper()


def _chance(seed: int, word: str) -> bytes:
    return hashlib.sha256(f"{seed} {word}".encode()).digest()


def _candidates(story: Story, told: Sequence[Line], kind: str, seed: int) -> Iterator[Question]:
    if kind == "state":
        yield from _states(told)
        return
    packets = {f"p{packet.n}": packet for packet in story.packets}
    for line in told:
        packet = packets.get(line.label)
        if packet is None or not isinstance(packet.facts.transport, TcpSegment | SctpPacket):
            continue
        if kind == "cause":
            yield from _cause(story, told, line, seed)
        elif found := _PATTERNS[kind].search(line.what):
            whole = found[0].removeprefix(found[1]).strip()
            why = f"{line.what}: {_RULES[kind, line.protocol]}"
            yield _question(line, kind, answers=tuple(dict.fromkeys((found[2], whole))), why=why)


def _question(
    line: Line,
    kind: str,
    *,
    answers: tuple[str, ...],
    why: str,
    host: int | None = None,
    choices: tuple[tuple[str, str], ...] = (),
) -> Question:
    part = f"{line.label}.{kind}" if host is None else f"{line.label}.{kind}.{host}"
    return Question(id=part, step=line.step, kind=kind, host=host, choices=choices, answers=answers, why=why)


def _states(told: Sequence[Line]) -> Iterator[Question]:
    """Where a packet's row brings a host a new state."""
    known = sorted({state for line in told for state in line.states if state})
    before: tuple[str, ...] = ()
    for line in told:
        for host, state in enumerate(line.states):
            new = host >= len(before) or before[host] != state
            if state and new and line.label.startswith("p"):
                choices = tuple((state, state) for state in known)
                yield _question(line, "state", answers=(state,), why=line.why, host=host, choices=choices)
        before = line.states


def _cause(story: Story, told: Sequence[Line], line: Line, seed: int) -> Iterator[Question]:
    """Which call sent the packet, or whether the kernel did by itself; only where that is certain."""
    cause = next(packet.cause for packet in story.packets if f"p{packet.n}" == line.label)
    shown = {one.label for one in told}
    if cause.confidence != "exact" or cause.kind == "unknown":
        return
    correct = tuple(f"c{n}" for n in cause.calls) if cause.kind == "call" else (KERNEL,)
    if not correct or not set(correct) - {KERNEL} <= shown:
        return
    calls = {told.label: told for told in story.calls if told.label in shown}
    others = [label for label in calls if label not in correct]
    chosen = sorted(others, key=lambda label: _chance(seed, f"{line.label} {label}"))[:OTHERS]
    offered = sorted({*chosen, *correct} - {KERNEL}, key=lambda label: calls[label].n)
    words = {label: f"{label}: the {calls[label].call.host}'s {calls[label].call.name}" for label in offered}
    choices = [(label, terminal(word)) for label, word in words.items()]
    choices.append((KERNEL, "no call: the kernel by itself"))
    yield _question(line, "cause", answers=correct, why=line.why, choices=tuple(choices))
