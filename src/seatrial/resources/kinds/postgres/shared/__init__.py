"""State of the whole server: whose it is that changed, and how what is ours is put back."""
