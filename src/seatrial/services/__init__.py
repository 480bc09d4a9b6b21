"""Several apps at once: who needs whom, and how they reach each other."""
