"""Translators: students (and teachers) that turn a text into another, one file a kind."""
