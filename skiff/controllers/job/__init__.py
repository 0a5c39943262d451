"""Jobs: pods that run to an end. `indexes` are the numbered pieces of work, `tally` counts ends exactly once, `plan`
decides, `controller` acts."""
