"""One resource of one worker: its server and its template, its copy, and a lease on it for each test."""
