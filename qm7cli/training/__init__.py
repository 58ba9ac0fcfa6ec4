"""Folds, from nothing to their files: one, those of a run, those of a sweep."""
