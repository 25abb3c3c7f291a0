"""Servers of messaging services and the WhatsApp numbers connected to them."""
