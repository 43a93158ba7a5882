"""What a student kept, and what it costs: scores, calibration, the paired bootstrap, speed and size."""
