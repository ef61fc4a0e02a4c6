"""Where wstest lives: an environment of Python 2.7, made once and kept in a directory that git ignores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["CACHE", "EnvironmentMissing", "find_wstest"]

CACHE = ROOT / ".conformance"

AUTOBAHN = "autobahntestsuite==25.10.1"

#: The last virtualenv that makes environments of Python 2.7.
VIRTUALENV = "virtualenv==20.21.1"

MISSING = """\
No Python 2.7 was found, which the Autobahn test suite needs. It was looked for in the environment variable PYTHON27, as
python2.7 on the PATH, and among pyenv's versions. "pyenv install 2.7.18" brings one."""


class EnvironmentMissing(Exception):
    """There is no Python 2.7, or nothing could be installed for it."""


def find_wstest() -> Path:
    """The wstest program, installed first if need be; raises :exc:`EnvironmentMissing` where that can't be."""
    environment = CACHE / "python27"
    wstest = environment / "bin" / "wstest"
    stamp = environment / AUTOBAHN
    if stamp.exists() and wstest.exists():
        return wstest
    python = find_python27()
    print(f"Python 2.7 is {python}; making an environment for {AUTOBAHN} in {environment}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    maker = CACHE / "virtualenv"
    run(sys.executable, "-m", "venv", str(maker))
    run(str(maker / "bin" / "python"), "-m", "pip", "install", "--quiet", VIRTUALENV)
    run(str(maker / "bin" / "python"), "-m", "virtualenv", "--quiet", "--python", python, str(environment))
    run(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", AUTOBAHN)
    stamp.touch()
    return wstest


def run(*command: str) -> None:
    """Run ``command``; raises EnvironmentMissing with what it printed if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise EnvironmentMissing(f"{' '.join(command)} failed:\n{done.stdout}")


def find_python27() -> str:
    """The path of an interpreter that is a Python 2.7; a pyenv shim alone may be none."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates():
        try:
            done = subprocess.run([candidate, "-c", program], capture_output=True, text=True)
        except OSError:
            continue
        if done.stdout.strip() == "2.7":
            return candidate
    raise EnvironmentMissing(MISSING)


def candidates() -> Iterator[str]:
    """Paths that may be a Python 2.7, the most explicit first."""
    if explicit := os.environ.get("PYTHON27"):
        yield explicit
    for directory in os.get_exec_path():
        yield str(Path(directory) / "python2.7")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(map(str, pyenv.glob("versions/2.7*/bin/python2.7")), reverse=True)
