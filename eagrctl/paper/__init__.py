"""What reproduces a table or a figure of the paper."""
