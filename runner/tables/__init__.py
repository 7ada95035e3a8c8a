"""Tables of results: their columns, their statistics, and the files they live in."""
