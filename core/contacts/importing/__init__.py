"""Files of contacts: reading them, showing what would be stored, storing it, and taking that back."""
