"""Media: the files of messages, uploaded or fetched, kept in a store and handed to providers."""
