"""Networks as files that run without eagrctl."""
