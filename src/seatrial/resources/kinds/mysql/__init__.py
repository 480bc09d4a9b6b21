"""MySQL and MariaDB: databases on one server, brought back from their template where the binary log saw a write."""

from __future__ import annotations

from seatrial.resources.kinds.mysql.kind import MySQL, mariadb

__all__ = ["MySQL", "mariadb"]
