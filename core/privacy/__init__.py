"""Personal data: exporting everything that is held of a user or a contact, and erasing it."""
