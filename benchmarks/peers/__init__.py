"""Peers without Django: the smallest echo that each library's documentation would lead to. ``python -m ... PORT``."""
