"""``Idempotency-Key``: a POST that is repeated is done once and answered alike, whichever process it reaches."""
