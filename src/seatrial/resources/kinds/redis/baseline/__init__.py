"""What a Redis holds at the start of each test: taken, counted, and put back."""
