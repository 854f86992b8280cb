"""Benchmarks: they print and compare, and never pass or fail by time."""
