"""A Django project to run first, and to copy from."""
