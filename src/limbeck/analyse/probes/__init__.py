"""Probes: what a model's layers know of language, told by classifiers that read nothing but their states."""
