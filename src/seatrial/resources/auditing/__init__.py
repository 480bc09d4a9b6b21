"""What the audits of several kinds share: the comparison itself. How a database is read is each kind's own."""
