"""SQLite on green threads: who meets a lock lets the others run, the one that holds it among them."""
