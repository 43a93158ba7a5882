"""What became of a text, and why a student learns it well or badly: complexity, faithfulness, word order, modes;
and what it lost: mistakes."""
