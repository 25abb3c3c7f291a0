"""What an account may use: plans and their limits."""
