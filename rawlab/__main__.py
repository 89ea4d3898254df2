"""`python -m rawlab`."""

from __future__ import annotations

import sys

from rawlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
