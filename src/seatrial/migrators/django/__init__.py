"""A schema that Django makes: its settings are found, its migrations applied."""
