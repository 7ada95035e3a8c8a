"""What a run can do: one file per task, each `run(setup, config, ...) -> Records`."""
