"""The parts of `benchmarks/gate.py`."""
