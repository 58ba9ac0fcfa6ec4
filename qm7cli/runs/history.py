"""MERGE-COMPAT: removed when the analysis has moved."""


def read_history(run, result):
    return result.history
