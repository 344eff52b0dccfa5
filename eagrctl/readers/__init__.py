"""Datasets as people have them, read sample by sample."""
