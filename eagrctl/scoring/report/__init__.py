"""A report, and every format it is written in."""
