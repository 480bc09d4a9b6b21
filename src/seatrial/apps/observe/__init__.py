"""A witness at the door of an app: each exchange is looked at, nothing of it is changed."""
