"""The locale of databases, where the configuration names one."""
