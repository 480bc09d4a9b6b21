"""What a project wants, in `[tool.seatrial]` or a file of its own: found, read, checked, explained."""

STANDALONE = "seatrial.toml"
"""The file of a project without pyproject.toml: the same keys without "tool.seatrial"."""

SHARED = "pyproject.toml"

NODE = "package.json"
"""Where a project of Node may keep the same keys, under `seatrial`."""
