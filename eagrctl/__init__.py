"""eagrctl: face parsing with edge-aware graph reasoning (EAGRNet), from a raw dataset to a table."""

__version__ = "0.1.0"
