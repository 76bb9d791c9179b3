"""`python -m iso15118.cli`, for where the script is not on PATH."""

from __future__ import annotations

import sys

from iso15118.cli.main import main

sys.exit(main())
