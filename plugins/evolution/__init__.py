"""Evolution API (https://doc.evolution-api.com), versions 1 and 2: numbers, messages, acknowledgements."""

from plugins.evolution.plugin import Plugin

__all__ = ("Plugin",)
