"""Where a server comes from: a wheel, this machine, or somebody else, who runs it."""
