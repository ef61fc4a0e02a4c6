"""Every use of private API of Django, asgiref or the standard library.

Each has its own function and its own test, which fails with a clear message when a new version changes it. If the API
is missing, the package still imports and works, with the limitation that the function's docstring states.
"""
