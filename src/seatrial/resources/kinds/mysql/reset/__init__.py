"""How a copy gets back to its baseline: what the binary log tells, who is in the way, and what is put back."""
