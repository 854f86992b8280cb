"""Tests of the models: schema, admission, canonical form, CRDs."""
