"""The reference, built, beside the code."""
