"""The client's types under the real compiler, and the client in a bundle."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing
from tests.deadlines import deadline

STATIC = ROOT / "django_websocket/static/django_websocket"

SOURCES = Path(__file__).parent / "typescript"

TOOLS = ["typescript@7", "esbuild@0.28"]

STRICT = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "es2022,dom"]


class Project:
    """Somebody's frontend, with the client installed as the documentation says."""

    def __init__(self, directory: Path, node: str, npm: str) -> None:
        self.directory = directory
        self._node = node
        self._npm = npm

    def install(self, *packages: str) -> subprocess.CompletedProcess[str]:
        return self._run(self._npm, "install", "--no-audit", "--no-fund", "--no-update-notifier", *packages)

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the tools."""
        return self._run(str(self.directory / "node_modules/.bin" / tool), *arguments)

    def run_node(self, script: str) -> subprocess.CompletedProcess[str]:
        return self._run(self._node, "--input-type=module", "--eval", script)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, timeout=deadline(100), check=False
        )


@pytest.fixture(scope="module")
def project(program: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    directory = tmp_path_factory.mktemp("frontend")
    project = Project(directory, program("node"), program("npm"))
    (directory / "package.json").write_text('{"private": true, "type": "module"}')
    installed = project.install(*TOOLS)
    if installed.returncode != 0:
        missing(f"{' or '.join(TOOLS)} from npm ({installed.stderr})")
    installed = project.install(str(STATIC))
    assert installed.returncode == 0, installed.stderr
    return project


@pytest.mark.parametrize("resolution", [["esnext", "bundler"], ["nodenext", "nodenext"]], ids=lambda names: names[1])
@pytest.mark.parametrize("source", ["page.ts", "implementation.ts"])
def test_types(source: str, resolution: list[str], project: Project) -> None:
    shutil.copy(SOURCES / source, project.directory)
    shutil.copy(STATIC / "client.js", project.directory)
    module, module_resolution = resolution
    options = [*STRICT, "--allowJs", "--module", module, "--moduleResolution", module_resolution]
    compiled = project.run("tsc", *options, source)
    assert (compiled.returncode, compiled.stdout) == (0, ""), compiled.stdout


def test_a_bundle(project: Project) -> None:
    (project.directory / "app.js").write_text('export { connect } from "django-websocket";')
    bundled = project.run("esbuild", "--bundle", "--minify", "--format=esm", "--outfile=bundle.js", "app.js")
    assert bundled.returncode == 0, bundled.stderr
    told = project.run_node('import { connect } from "./bundle.js"; console.log(typeof connect);')
    assert told.stdout == "function\n", told.stderr
