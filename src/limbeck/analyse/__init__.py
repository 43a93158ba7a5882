"""What became of a text, and why a student learns it well or badly; what a student lost of its teacher, and where."""
