"""What the HTTP API hands out: workers, copies and templates, each driven by one thread at a time."""
