"""The figures of the benchmarks: what is measured, how, and the table of it."""
