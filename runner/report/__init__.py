"""What people look at: the terminal's tables and the figures, made from a run's tables only."""
