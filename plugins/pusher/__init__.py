"""Pusher Channels: live events in the browser through https://pusher.com or a server that is compatible with it."""

from plugins.pusher.plugin import Plugin

__all__ = ("Plugin",)
