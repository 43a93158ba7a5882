"""Nouns and contracts that every other room speaks: signals, objectives, recipes, folders, errors."""
