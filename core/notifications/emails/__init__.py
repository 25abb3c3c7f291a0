"""The e-mails: a notification in HTML and in text, in the look of the installation."""
