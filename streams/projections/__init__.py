"""Projections: joins by maximum over topics, on faust tables."""
