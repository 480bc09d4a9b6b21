"""What the HTTP API says: its messages, its endpoints, and their description."""
