"""Telegram bots as senders of Recado: texts and files to whoever started the bot, and what they write back."""

from recado_telegram.plugin import Plugin

__all__ = ("Plugin",)
