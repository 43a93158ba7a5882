"""Taggers: students and teachers that give every word a tag, one file a kind, as the classifiers beside this folder."""
