"""What `rawlab check` does: the answers that quizzes saved, held against the capture, as a table.

The capture says what is right; of the answers' files nothing is trusted but what was answered. One that is damaged, or
that answers another capture's quiz, is told in a line, and the others are graded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rawlab.errors import FormatError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.api import Story
    from rawlab.store import Opened
    from rawlab.views.quiz import Question, Submission

    Graded = Sequence[tuple[Question, bool | None]]

_MOST = 1 << 20  # octets of a file of answers
_NAMES = ("name", "attempt", "right", "wrong", "no answer", "of", "quiz", "not right")
_QUESTIONS = ("question", "right", "wrong", "no answer", "answer")


def check(arguments: argparse.Namespace, read: Callable[[str], Opened]) -> int:
    """The command's exit code. `read`: a named capture's octets. Raises RawlabError."""
    from rawlab import store
    from rawlab.api import explain
    from rawlab.views.escape import terminal
    from rawlab.views.table import FORMATS

    if arguments.format not in FORMATS:
        raise UsageError(f"--format {arguments.format}: no such format; there are: {', '.join(FORMATS)}")
    story = explain(store.parse(read(arguments.file), arguments.file))
    graded, worst = [], 0
    for path in _paths(arguments.answers):
        try:
            graded.append(_graded(story, path))
        except (FormatError, OSError) as error:
            words = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
            print(f"rawlab: {terminal(words)}", file=sys.stderr)
            worst = FormatError.exit_code
    if graded:
        graded.sort(key=lambda one: one[0].name.lower())
        print(_table(_NAMES, [_student(*one) for one in graded], arguments.format))
        print(f"\n{_table(_QUESTIONS, _questions([told for _, told in graded]), arguments.format)}")
    return worst


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], format: str) -> str:
    from tabulate import tabulate

    from rawlab.views.escape import for_format

    escape = for_format(format)
    return tabulate([[escape(str(cell)) for cell in row] for row in rows], heads, format, disable_numparse=True)


def _paths(names: list[str]) -> Iterator[Path]:
    """Files, and the .json files of folders."""
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(path.glob("*.json"))
            if not found:
                raise UsageError(f"{name}: no .json file in this folder; expected the answers that a quiz saved")
            yield from found
        else:
            yield path


def _graded(story: Story, path: Path) -> tuple[Submission, Graded]:
    """Whose answers, and each question's. Raises FormatError, OSError."""
    from rawlab import store
    from rawlab.views import quiz

    octets = store.read_file(path)
    if len(octets) > _MOST:
        raise FormatError(f"{path}: {len(octets)} octets; expected the answers that a quiz saved, at most {_MOST}")
    submission = quiz.read(octets.decode("utf-8", "replace"), str(path))
    named = submission if submission.name else replace(submission, name=path.stem)
    return named, quiz.grade(story, submission, str(path))


def _counts(verdicts: Iterable[bool | None]) -> tuple[int, int, int]:
    """How many are right, wrong, and missing."""
    found = list(verdicts)
    return found.count(True), found.count(False), found.count(None)


def _student(submission: Submission, told: Graded) -> tuple[object, ...]:
    about = f"{','.join(submission.hide)}, seed {submission.seed}" + (", a part" if submission.rows is not None else "")
    missed = ", ".join(question.id for question, verdict in told if not verdict)
    counts = _counts(verdict for _, verdict in told)
    return submission.name, submission.attempt, *counts, len(told), about, missed or "–"


def _questions(graded: Iterable[Graded]) -> Iterator[tuple[object, ...]]:
    """How each question was answered, all together, in the order of the rows."""
    verdicts: dict[Question, list[bool | None]] = {}
    for told in graded:
        for question, verdict in told:
            verdicts.setdefault(question, []).append(verdict)
    for question, found in sorted(verdicts.items(), key=lambda one: (one[0].step, one[0].id)):
        yield question.id, *_counts(found), " or ".join(question.answers)
