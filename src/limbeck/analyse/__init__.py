"""What became of a text, and why a student learns it well or badly: alignments, complexity, faithfulness, word order."""
