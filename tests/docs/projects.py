"""A fresh project made of a page's code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.management.projects import environment, start_project


class Project:
    """``startproject mysite`` in ``directory``, with files of a page."""

    def __init__(self, directory: Path) -> None:
        self.directory = start_project(directory)
        self.write("mysite/views.py", "")
        self.write("mysite/urls.py", "urlpatterns = []\n")

    def write(self, path: str, code: str) -> None:
        """Make ``path`` of ``code``, and packages of the directories above."""
        file = self.directory / path
        for parent in file.relative_to(self.directory).parents:
            if parent.name:
                (self.directory / parent).mkdir(parents=True, exist_ok=True)
                (self.directory / parent / "__init__.py").touch()
        file.write_text(code)

    def add_settings(self, code: str) -> None:
        with (self.directory / "mysite" / "settings.py").open("a") as settings:
            settings.write(f"\n{code}\n")

    def add_app(self, name: str, models: str) -> None:
        """An application with these models, and their table."""
        self.write(f"{name}/models.py", models)
        self.add_settings(f"INSTALLED_APPS += ['{name}']")
        self.manage("makemigrations", name)

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py``, which has to succeed; all that it prints."""
        run = subprocess.run(
            [sys.executable, "-W", "error", "-W", r"ignore:\s*Eventlet is deprecated", "manage.py", *arguments],
            cwd=self.directory,
            env=environment(ROOT),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline(60),
        )
        assert run.returncode == 0, run.stdout
        return run.stdout
