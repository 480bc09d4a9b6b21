"""What everything above needs of the machine, with the standard library alone: folders, locks, ports, processes."""
