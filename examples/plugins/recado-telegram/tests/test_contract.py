from recado_telegram.conformance import TelegramContract


class TestTelegramContract(TelegramContract):
    """The contract under pytest; ``recado conformance telegram`` runs the same without."""
