"""The quiz's page: the table of rows with cells to fill in; it checks, explains, and saves what was answered.

The right answers are in the page, not readable at a glance, but not secret either: `rawlab check` trusts none of it and
works out from the capture what is right.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Collection, Sequence

from rawlab.model.story import Story
from rawlab.views.escape import terminal
from rawlab.views.page import assemble
from rawlab.views.page.markup import Line, lines
from rawlab.views.quiz import Question, fingerprint, masked, questions
from rawlab.views.rows import hosts

_SCRIPTS = ("base.js", "quiz.js")


def render(
    story: Story,
    hide: Collection[str],
    seed: int,
    *,
    shown: Collection[str] | None = None,
    theme: str | None = None,
) -> str:
    """The page of such a quiz."""
    told = lines(story, shown)
    asked = questions(story, told, hide, seed)
    answers = {one.id: {"right": one.answers, "why": one.why} for one in asked}
    known = {
        "quiz": {
            "rawlab quiz": 1,
            "capture": fingerprint(story),
            "hide": list(hide),
            "seed": seed,
            "rows": None if shown is None else sorted(shown),
        },
        "answers": base64.b64encode(json.dumps(answers).encode()).decode()[::-1],
    }
    name = terminal(story.timeline.run.lab or "capture")
    return assemble(
        "quiz.html",
        _SCRIPTS,
        title=f"{name}: a quiz",
        theme=theme,
        known=known,
        table=_table(story, told, asked, "cause" in hide),
        count=str(len(asked)),
    )


def _table(story: Story, told: Sequence[Line], asked: Sequence[Question], cause: bool) -> str:
    names = [terminal(host) for host in hosts(story)]
    heads = ["#", "ms", "who", "call or packet", *(f"{name} is" for name in names), *(["sent by"] if cause else [])]
    titles = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in heads)
    before: list[str] = [""] * len(names)
    hidden = [False] * len(names)
    body = []
    for line in told:
        mine = [one for one in asked if one.step == line.step]
        cells = []
        for host, state in enumerate(line.states):
            question = next((one for one in mine if one.kind == "state" and one.host == host), None)
            same = state == before[host]
            hidden[host] = question is not None or (hidden[host] and same)
            before[host] = state
            cells.append(_field(question, line, names) if question else "″" if hidden[host] else html.escape(state))
        if cause:
            cells.append("".join(_field(one, line, names) for one in mine if one.kind == "cause"))
        numbers = [one for one in mine if one.kind in ("seq", "ack")]
        what = html.escape(masked(line, [one.kind for one in numbers]))
        what += "".join(f"<br>{_field(one, line, names)}" for one in numbers)
        first = (line.label, line.ms, html.escape(line.who), what)
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in (*first, *cells))}</tr>")
    rows = "\n".join(body)
    return f'<table class="quiz"><thead><tr>{titles}</tr></thead>\n<tbody>{rows}</tbody></table>'


def _field(question: Question, line: Line, names: Sequence[str]) -> str:
    """The input of a hidden cell, and where its verdict will stand."""
    whose = "" if question.host is None else f" of {names[question.host]}"
    label = html.escape(f"{question.kind}{whose}, row {line.label}")
    marks = f'class="answer" data-id="{question.id}" aria-label="{label}"'
    verdict = f'<span class="verdict" data-of="{question.id}"></span>'
    if not question.choices:
        return f'{question.kind} <input type="text" inputmode="numeric" size="8" autocomplete="off" {marks}>{verdict}'
    choices = "".join(
        f'<option value="{html.escape(value)}">{html.escape(words)}</option>' for value, words in question.choices
    )
    return f'<select {marks}><option value="">?</option>{choices}</select>{verdict}'
