"""Contacts, audiences, labels, the block list and imports."""
