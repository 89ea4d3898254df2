"""Text made harmless, one function a sink."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate_formats

from rawlab.views import escape

ANY = st.text(max_size=30) | st.text(alphabet="\x1b\x9b\r\n\t\u202e\u2066\u200b\ufeff<>|`\\=+-@&{}$%ab", max_size=20)


@given(ANY)
def test_a_terminal_gets_no_control_character(text: str) -> None:
    """But newline and tab; nothing that reorders (bidi), hides or separates lines; and no surrogate."""
    reorders = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    for character in escape.terminal(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in reorders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain → ü 漢", "plain → ü 漢"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x00\x7f", "a\\x0db\\x00\\x7f"),
        ("\u202e\u2066\u200b\ufeff\u2028", "\\u202e\\u2066\\u200b\\ufeff\\u2028"),
        ("\ud800", "\\ud800"),
        ("a\n\tb", "a\n\tb"),
    ],
)
def test_what_is_not_printed_is_shown(text: str, shown: str) -> None:
    """By its number, so that nothing disappears."""
    assert escape.terminal(text) == shown


@given(ANY)
def test_markdown_and_wikis_get_no_tag_and_no_cell_s_end(text: str) -> None:
    """No '<', and no bar but an escaped one."""
    assert "<" not in escape.markdown(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escape.markdown(text))
    assert not {"<", "|"} & set(escape.wiki(text))
    assert html.unescape(escape.wiki(text)) == text


@given(ANY)
def test_a_spreadsheet_s_cell_begins_no_formula(text: str) -> None:
    """And is one cell of one line."""
    cell = escape.spreadsheet(text)
    assert cell[:1] not in ("=", "+", "-", "@")
    assert not {"\t", "\n"} & set(cell)


@given(ANY)
def test_latex_gets_no_command_of_the_text_s_own(text: str) -> None:
    """Every special character is spelled out: without our own commands, none is left."""
    ours = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\$\\(?:right|left)arrow\$", "", escape.latex(text))
    assert not set("&%$#_{}~^\\<>") & set(ours)


@pytest.mark.parametrize("name", tabulate_formats)
def test_every_format_has_an_escape(name: str) -> None:
    """One that at least keeps the terminal safe, in whatever sink the text ends."""
    made = escape.for_format(name)("\x1b[31m\u202e")
    assert "\x1b" not in made
    assert "\u202e" not in made
