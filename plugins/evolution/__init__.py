"""The Evolution API (https://doc.evolution-api.com), versions 1.7 to 2.3: numbers, messages, acknowledgements."""
