"""What a project's own files say, read without running them: its modules, its models, its SQL."""
