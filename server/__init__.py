"""A demo Django project, to try out and to copy from."""
