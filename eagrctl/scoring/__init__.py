"""Predictions -> confusion -> scores -> tables."""
