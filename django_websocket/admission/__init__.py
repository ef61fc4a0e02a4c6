"""Tickets, from the inside: how they are written, who is let in with one, and what ends that.

:mod:`django_websocket.tickets` is what projects use. ``offer`` finds a ticket in a handshake's header, ``ticket`` signs
and reads it, ``marks`` keeps in Django's cache which were used or revoked, ``entrance`` lets a handshake in, and
``watch`` closes websockets whose right has ended.
"""
