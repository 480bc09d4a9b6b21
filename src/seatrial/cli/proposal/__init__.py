"""From what was found in a project to the configuration that is proposed for it."""
