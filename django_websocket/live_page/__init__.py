"""The live page: the open websockets of all processes, in Django's admin. See docs/howto/live-page.rst.

A Django application of its own, so that projects without it have neither its model nor its migration.

* :mod:`.columns`: what is shown of a websocket. :mod:`.query`: what a page asks for.
* :mod:`.census`: answers a query for this process, :mod:`.closing` closes websockets in it.
* :mod:`.inquiry`: puts a query to all processes and merges their answers; :mod:`.respondent` is the other end, a job of
  each serving process. Both speak over groups that no project's code can name (:mod:`.control`).
* :mod:`.viewer`: one open page, at its websocket. :mod:`.admin`: who may, and the page itself.

Nothing is counted for it, and nothing runs while nobody looks.
"""
