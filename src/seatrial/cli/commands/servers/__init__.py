"""Commands about the servers of ours that run on this machine."""
