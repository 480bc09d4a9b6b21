"""The extensions of a database: created, found, brought along, or named where they are missing."""
