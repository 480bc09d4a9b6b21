"""What a test asks of apps and databases: taken down, told, and compared with what was promised."""
