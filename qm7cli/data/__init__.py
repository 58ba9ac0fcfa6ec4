"""Molecules: read, checked, downloaded, and split into folds."""
