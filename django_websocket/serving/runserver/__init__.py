"""What ``manage.py runwsserver`` adds: the request log, reloading."""
