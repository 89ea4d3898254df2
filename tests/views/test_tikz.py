"""The ladder in TikZ: what LaTeX makes of it, where there is one; else, that braces close and words stay words."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab.errors import UsageError
from rawlab.views.escape import typewriter
from rawlab.views.ladder import layout
from rawlab.views.steps import steps
from rawlab.views.tikz import draw
from tests.views.stories import HOSTILE, echo, hostile

FRAME = r"""\documentclass{beamer}
\usepackage{tikz,standalone}
\begin{document}
\begin{frame} \resizebox{!}{.8\textheight}{\input{echo}} \end{frame}
\end{document}
"""


def compiled(folder: Path, name: str) -> str:
    """What pdflatex says; it goes well, or the test does not."""
    if shutil.which("pdflatex") is None or not _has_standalone():
        pytest.skip("needs pdflatex with standalone: apt-get install texlive-latex-extra texlive-pictures lmodern")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return done.stdout.decode(errors="replace")


def _has_standalone() -> bool:
    found = subprocess.run(["kpsewhich", "standalone.cls", "lmodern.sty"], capture_output=True, check=False, timeout=60)
    return len(found.stdout.splitlines()) == 2


def pages(said: str) -> int:
    found = re.search(r"\((\d+) pages?", said)
    return int(found[1]) if found else 0


def test_it_compiles_by_itself_and_in_a_frame(tmp_path: Path) -> None:
    """One page; and nothing in a talk but two packages."""
    (tmp_path / "echo.tex").write_text(draw(layout(echo())))
    (tmp_path / "talk.tex").write_text(FRAME)
    assert pages(compiled(tmp_path, "echo.tex")) == 1
    assert pages(compiled(tmp_path, "talk.tex")) == 1


def test_steps_are_overlays(tmp_path: Path) -> None:
    """A page each, by itself and in a talk."""
    ladder = layout(echo(), shown={"c5", "p1", "p2", "p3"})
    made = steps(ladder)
    (tmp_path / "echo.tex").write_text(draw(ladder, steps=made))
    (tmp_path / "talk.tex").write_text(FRAME)
    assert pages(compiled(tmp_path, "echo.tex")) == len(made)
    assert pages(compiled(tmp_path, "talk.tex")) == len(made)


def test_hostile_words_compile(tmp_path: Path) -> None:
    """All of them at once, and what the font has no glyph for."""
    words = "".join(word for word in HOSTILE if "\n" not in word)
    (tmp_path / "hostile.tex").write_text(draw(layout(hostile(words[:150] + "é中😀„“ß÷× -- <<>> ,, ?` !`"))))
    compiled(tmp_path, "hostile.tex")


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_words(word: str) -> None:
    """No command of TeX's is in the file that is not in a harmless one, and none begins or ends a group."""
    known = set(re.findall(r"\\[A-Za-z]+", draw(layout(hostile("x")))))
    drawn = draw(layout(hostile(word)))
    spoken = {r"\textbackslash", r"\textasciitilde", r"\textless", r"\textgreater", r"\textquotesingle"}
    spoken |= {r"\textasciigrave", r"\textasciicircum", r"\char"}
    assert set(re.findall(r"\\[A-Za-z]+", drawn.replace(r"\\", ""))) <= known | spoken
    bare = re.sub(r"\\[{}]", "", drawn)
    assert bare.count("{") == bare.count("}")


def test_typewriter() -> None:
    """Specials as commands, no ligature, blanks as many as there are, what T1 has not by its number."""
    assert typewriter("a_b%") == r"a\_b\%"
    assert typewriter("--") == "{-}{-}"
    assert typewriter("a  b") == r"a\  b"
    assert typewriter("中é") == r"\textbackslash{}u4e2dé"
    assert typewriter("x\ny") == r"x\textbackslash{}ny"


def test_overlays_of_a_step() -> None:
    """What appears later, stands in \\only from its step on; what lasts for all, in none."""
    ladder = layout(echo(), shown={"c5", "p1", "p2", "p3"})
    drawn = draw(ladder, steps=steps(ladder))
    lifeline = next(line for line in drawn.splitlines() if "[life]" in line)
    assert lifeline.startswith(r"\draw")
    answer = next(line for line in drawn.splitlines() if "[S.] seq 0 ack 1" in line and "fontsize{12}" in line)
    assert answer.startswith(r"\only<3->{")


def test_what_is_too_long_for_tex() -> None:
    """Is refused in one line, that says what to do."""
    with pytest.raises(UsageError, match=r"a \.tex 312 inches long is too long for TeX; choose a part"):
        draw(replace(layout(echo()), height=30_000))
