"""Dynamic programs over structures: linear chains."""
