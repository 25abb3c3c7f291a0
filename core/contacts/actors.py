"""What a worker has to import for contacts: handlers of jobs and of events register themselves."""

from core.contacts import bulk, counting, deletions, opt_outs, received, sync
from core.contacts.importing import importer
from core.contacts.importing import undo as import_undo

HANDLERS = (
    importer.run_import,
    import_undo.undo_import,
    sync.sync_contacts,
    bulk.change_contacts,
    counting.count_large,
    deletions.undo_delete,
    opt_outs.apply_opt_outs,
    opt_outs.apply_identities,
    received.tell_received,
    opt_outs.resolve_opt_out,
    opt_outs.confirm_opt_out,
)
