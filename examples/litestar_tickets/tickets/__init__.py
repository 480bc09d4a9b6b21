"""Tickets, and the clerks who take them."""
