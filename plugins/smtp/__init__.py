"""SMTP: hands notifications to a mail server, such as Gmail's."""

from plugins.smtp.plugin import Plugin

__all__ = ("Plugin",)
