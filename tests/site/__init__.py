"""A Django project that a process of its own serves, so that tests can talk to it over real sockets."""
