"""Molecules: read, checked, downloaded, and dealt into folds."""
