"""The Django project that the fault tests do their worst to. Served by :mod:`tests.faults.project.serve`."""
