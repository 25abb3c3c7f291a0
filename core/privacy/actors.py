"""What a worker has to import for personal data: the handlers of its jobs register themselves."""

from core.privacy import erasure, exports

HANDLERS = (exports.make_export, erasure.remove_holdings)
