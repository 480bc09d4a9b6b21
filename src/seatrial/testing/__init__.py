"""The checks that every kind of resource has to pass: run them against a kind that you wrote yourself.

    import pytest

    from seatrial.testing import Sample, checks

    @pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
    def test_the_kind_keeps_its_promises(check, tmp_path):
        check(Sample(kind=MyKind(), project=tmp_path, fill=..., write=..., read=...))

The page "A kind of your own" (docs/extending.md) has a complete example.
"""

from __future__ import annotations

from seatrial.testing.kinds import checks
from seatrial.testing.sample import Bench, Sample, running

__all__ = ["Bench", "Sample", "checks", "running"]
