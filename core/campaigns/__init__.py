"""Campaigns and the engine that sends them."""
