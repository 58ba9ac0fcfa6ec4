"""What runs say: comparisons, pictures, the report."""
