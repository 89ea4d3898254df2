"""A shell's completion script, made by shtab from the command's own parser."""

from __future__ import annotations

import argparse


def script(whole: argparse.ArgumentParser, shell: str) -> str:
    """The script for 'bash', 'zsh' or 'tcsh'."""
    import shtab

    _offer(whole)
    made: str = shtab.complete(whole, shell=shell)
    return made


def _offer(whole: argparse.ArgumentParser) -> None:
    """Tells the parser what a shell may offer for each word: labs, topics, formats, files."""
    import shtab

    from rawlab import labs, topics
    from rawlab.views.rendering import FORMATS

    words = {"lab": labs.NAMES, "against": labs.NAMES, "what": topics.NAMES, "format": FORMATS}
    commands = next(action.choices for action in whole._actions if isinstance(action.choices, dict))
    for command in commands.values():
        for action in command._actions:
            if action.dest in words:
                action.choices = words[action.dest]
            elif action.dest in ("file", "output"):
                action.complete = shtab.FILE
