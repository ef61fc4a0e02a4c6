"""Peers without Django: the smallest echo that follows each library's documentation. ``python -m ... PORT``."""
