"""Tests, laid out as the package is."""

import os

# One core for each process: tiny tensors gain nothing from more, and threads would wait for one another's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
