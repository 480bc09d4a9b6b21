"""Which database a project runs on, and how it is told where: variables, settings classes, drivers."""
