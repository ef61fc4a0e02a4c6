"""What ``manage.py runwsserver`` adds: the request log and reloading."""
