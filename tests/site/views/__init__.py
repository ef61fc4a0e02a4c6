"""The views, by the test module that they are for. They run in the served process."""
