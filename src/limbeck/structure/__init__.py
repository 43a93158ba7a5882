"""Dynamic programs over structures: linear chains, edits of sequences."""
