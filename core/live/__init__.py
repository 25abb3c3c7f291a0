"""Live events: on their way from any process to whoever looks at an account at this moment."""
