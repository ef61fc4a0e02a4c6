"""The Autobahn test suite against a served project: ``python -m tests.compliance``."""
