"""What a program shows, awaited."""

from __future__ import annotations

import os
import select
import time


def heard(shown: int, *awaited: str) -> str:
    """What comes there until all of that has; at the most for a minute."""
    text, deadline = "", time.monotonic() + 60
    while not all(one in text for one in awaited):
        assert time.monotonic() < deadline, text
        if select.select([shown], [], [], 1)[0]:
            text += os.read(shown, 65536).decode()
    return text
