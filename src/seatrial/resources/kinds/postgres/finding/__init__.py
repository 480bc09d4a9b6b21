"""What a template holds, and what was written to a copy of it: told by the log, or by a look everywhere."""
