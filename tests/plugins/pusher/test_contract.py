"""Pusher keeps the contract of every notifier."""

from plugins.pusher.conformance import PusherContract


class TestPusher(PusherContract):
    pass
