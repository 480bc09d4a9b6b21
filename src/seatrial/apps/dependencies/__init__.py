"""What an app depends on, replaced for one test: in the ways of the frameworks."""
