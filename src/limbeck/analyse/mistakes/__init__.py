"""Mistakes: what a student lost of its teacher and where, from what both said of the same test examples.

Each file is one idea. All start from :mod:`units`: what is judged, and how good each model and seed is at it.
"""
