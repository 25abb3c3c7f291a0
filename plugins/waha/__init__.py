"""WAHA, the WhatsApp HTTP API (https://waha.devlike.pro): numbers, messages, acknowledgements."""

from plugins.waha.plugin import Plugin

__all__ = ("Plugin",)
