"""Suites written for other tools' containers and servers, answered by ours: each a named, reversible patch."""
