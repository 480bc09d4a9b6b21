"""The tables `[tool.seatrial.services.NAME]`."""
