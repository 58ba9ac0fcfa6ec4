"""What a run is, and what lies in its directory: each file is written and read in one place."""
