"""Run folders told to people: one self-contained HTML page, and the same tables as Markdown."""
