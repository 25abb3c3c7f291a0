"""The Bot API over HTTP, with people who start the bot, write to it and block it.

It behaves as https://core.telegram.org/bots/api says, and where that is silent as the server's source does
(https://github.com/tdlib/telegram-bot-api). What people do, and what goes wrong, is ordered under ``/simulator``.
"""

from recado_telegram.simulator.app import DEFAULT_PORT, Simulator, create, create_stage
from recado_telegram.simulator.state import Options

__all__ = ("DEFAULT_PORT", "Options", "Simulator", "create", "create_stage")
