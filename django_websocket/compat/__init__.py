"""Every use of something private in Django, asgiref or the standard library.

Each stands alone and has a test of its own, which says what a new version has changed. Where one is missing, the
package still imports and works, with the loss that the function names.
"""
