"""SQLite on green threads: a connection that meets a lock lets others run, including the one that holds it."""
