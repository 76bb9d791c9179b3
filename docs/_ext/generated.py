"""Sphinx extension: writes the generated pages before the sources are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import conformance
import messages_reference
from sphinx.application import Sphinx


def write_pages(app: Sphinx) -> None:
    """Bring `_generated/` up to date; unchanged pages are left alone, so that builds stay incremental."""
    folder = Path(app.srcdir) / "_generated"
    wanted = {folder / "conformance.md": conformance.page()}
    wanted |= {folder / "messages" / name: text for name, text in messages_reference.pages().items()}
    for stale in set(folder.rglob("*.md")) - set(wanted):
        stale.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
