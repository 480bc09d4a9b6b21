"""Rooms that can be booked."""
