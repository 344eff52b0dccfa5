"""How fast eagrctl is, beside the floor or the plain way, measured in the same run."""
