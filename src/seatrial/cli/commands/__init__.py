"""One module a subcommand of `seatrial`, named as it is."""
