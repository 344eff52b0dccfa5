"""Tests, laid out as the package is."""

import os

# One core for each process: tiny tensors gain nothing from more, and threads would wait for one another's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where tests ask for more, these let go of their cores soon, as the command line has them do.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
