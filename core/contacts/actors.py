"""What a worker has to import for contacts: the handler of import jobs registers itself."""

from core.contacts import importer

HANDLERS = (importer.run_import,)
