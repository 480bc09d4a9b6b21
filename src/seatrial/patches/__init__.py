"""The only changes that are made to other libraries: each named, reversible, and shown in the report header."""
