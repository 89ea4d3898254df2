"""How many threads numpy may start: one, before it is imported.

It starts one a processor for linear algebra, of which nothing here has use, and that takes a third of its own start.
"""

from __future__ import annotations

import os


def only_one() -> None:
    """Unless the user says otherwise."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
