"""Long work in the background: leased, resumable, with progress and cancel."""
