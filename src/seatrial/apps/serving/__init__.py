"""What an app behind a socket takes: whether it is healthy, and a server in this process."""
