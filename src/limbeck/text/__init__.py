"""Text: reading files of examples, cleaning them, and turning sentences into batches of token ids."""
