"""Server processes outlive the test runs that share them, and never by much: a small process owns each of them."""
