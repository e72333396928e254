"""``python -m insitu`` is the program ``insitu``."""

from __future__ import annotations

from insitu.cli import main

if __name__ == "__main__":
    main()
