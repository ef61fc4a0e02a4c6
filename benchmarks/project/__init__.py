"""The Django project that every Django peer serves: default middleware, sessions, auth, one URL for each workload."""
