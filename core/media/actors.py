"""What a worker has to import for media: the handlers of its jobs register themselves."""

from core.media import fetching

HANDLERS = (fetching.fetch, fetching.purge)
