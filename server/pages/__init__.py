"""The demo's pages: for each a module with its views, and a template of the same name."""
