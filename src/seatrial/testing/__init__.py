"""What whoever writes a kind runs against it: the same promises that ours keep, each a check with a name.

@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
def test_the_kind_keeps_its_promises(check, tmp_path):
check(Sample(kind=MyKind(), project=tmp_path, fill=..., write=..., read=...))
"""

from __future__ import annotations

from seatrial.testing.kinds import checks
from seatrial.testing.sample import Bench, Sample, running

__all__ = ["Bench", "Sample", "checks", "running"]
