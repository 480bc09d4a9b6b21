"""Run by `alembic.py` as a process of its own: `upgrade heads`, at the URL in the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from seatrial.core.importing import shortened


def main() -> None:
    """Upgrade to all heads; the only argument is the path of the configuration."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    # After the library is imported: the project may have a folder of the same name.
    root = str(Path.cwd())
    sys.path.insert(0, root)
    path = sys.argv[1]
    config = Config(toml_file=path) if path.endswith(".toml") else Config(path)
    config.set_main_option("sqlalchemy.url", os.environ.pop("SEATRIAL_ALEMBIC_URL").replace("%", "%%"))
    try:
        command.upgrade(config, "heads")
    except CommandError as error:
        sys.exit(f"alembic: {error}")
    except Exception as error:  # noqa: BLE001  # what the project's migrations raise is told by the project's lines
        sys.exit(shortened(error, Path.cwd()))


if __name__ == "__main__":
    main()
