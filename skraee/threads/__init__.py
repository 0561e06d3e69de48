"""What threads share, and what a fork leaves of it."""
