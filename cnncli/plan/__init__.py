"""What a network will do, told without running it."""
