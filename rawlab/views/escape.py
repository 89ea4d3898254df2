"""Text made harmless for where it goes: one function a sink. What packets carry may be anyone's."""

from __future__ import annotations

import re
from collections.abc import Callable

# All that moves the cursor, colours, reorders or hides: controls but newline and tab, and Unicode's bidi marks.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def terminal(text: str) -> str:
    r"""For a terminal: a control character is shown as \x1b or \u202e."""
    return _CONTROL.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if character <= "\xff" else f"\\u{ord(character):04x}"


def _html(text: str, *, quote: bool = True) -> str:
    import html  # its table of entities takes as long as all else here

    return html.escape(text, quote)


def markdown(text: str) -> str:
    """For a Markdown table: no cell ends early, no tag begins."""
    return _html(text, quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")


def wiki(text: str) -> str:
    """For MediaWiki, MoinMoin, Jira, Textile and Org: as HTML, and no bar ends the cell."""
    return _html(text, quote=False).replace("|", "&#124;")


def asciidoc(text: str) -> str:
    """For AsciiDoc: no cell ends early, nothing is passed through unescaped."""
    return "".join(_ASCIIDOC.get(character, character) for character in text)


_ASCIIDOC = {"|": "{vbar}", "+": "{plus}", "\\": "{backslash}", "{": "\\{", "`": "{backtick}"}


def spreadsheet(text: str) -> str:
    """For a cell that a spreadsheet opens: none begins a formula."""
    flat = text.replace("\t", " ").replace("\n", " ")
    return f"'{flat}" if flat[:1] in ("=", "+", "-", "@") else flat


def latex(text: str) -> str:
    """For LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
}

def typewriter(text: str) -> str:
    r"""For LaTeX's typewriter fonts (T1): as it stands, no ligature; what those fonts have not is shown as \u4e2d."""
    spaced = terminal(text).replace("\n", r"\n").replace("\t", r"\t").replace("  ", "\xa0 ")
    return "".join(_TYPEWRITER.get(character) or _typed(character) for character in spaced)


_TYPEWRITER = _LATEX | {
    "-": "{-}",
    ",": "{,}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    '"': r"{\char34}",
    "\xa0": r"\ ",
    "…": "...",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "×": r"$\times$",
}


def _typed(character: str) -> str:
    if character.isascii() or ("À" <= character <= "ÿ" and character not in "÷ÐÞðþ"):
        return character
    return rf"\textbackslash{{}}u{ord(character):04x}"


# By tabulate's names of formats; it escapes html, latex, latex_booktabs and latex_longtable itself.
_BY_FORMAT: dict[str, Callable[[str], str]] = {
    "github": markdown,
    "pipe": markdown,
    "unsafehtml": _html,
    "latex_raw": latex,
    "asciidoc": asciidoc,
    "tsv": spreadsheet,
    **dict.fromkeys(("mediawiki", "moinmoin", "jira", "textile", "orgtbl", "youtrack"), wiki),
}


def for_format(name: str) -> Callable[[str], str]:
    """What makes a cell harmless in that format of tabulate's."""
    inner = _BY_FORMAT.get(name)
    return terminal if inner is None else lambda text: inner(terminal(text))
