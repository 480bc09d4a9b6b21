"""What a project already says about its app, its sessions, its schema and its database, without running it."""
