"""The one training loop: schedule, optimiser, loss doctor, journal, checkpoints."""
