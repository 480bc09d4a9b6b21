"""Where a MySQL server is, and how it is reached, if that is not our own doing."""
