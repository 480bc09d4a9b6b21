"""Changes to Django, for databases that are copies of resources: where it connects, creates, flushes and reconnects."""
