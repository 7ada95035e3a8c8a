"""Sweeps: a plan of jobs, run by one of Hydra's launchers, merged into one table."""
