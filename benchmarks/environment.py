"""The bench's own environment: a venv with the pinned peers, and the compiled floor. Standard library only."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
FLOOR = VENV / "floor"
CERTIFICATE = VENV / "certificate.pem"
"""For the servers with TLS, with its key."""


def ready() -> Path:
    """Return the environment's Python, first creating or updating it, which takes a minute and network access."""
    stamp = VENV / ".stamp"
    wanted = f"{sys.version}\n{(HERE / 'requirements.txt').read_text()}\n{requirements_of_ours()}"
    found = stamp.read_text() if stamp.is_file() else ""
    if found != wanted:
        print("benchmarks: installing the peers", file=sys.stderr)
        venv.create(VENV, clear=not found.startswith(sys.version + "\n"), with_pip=True)
        pip = [str(PYTHON), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--requirement", str(HERE / "requirements.txt")], cwd=ROOT, check=True)
        stamp.write_text(wanted)
    build_floor()
    make_certificate()
    return PYTHON


def make_certificate() -> None:
    """Make one with a key as most sites have it today, if openssl is there."""
    openssl = shutil.which("openssl")
    if openssl is None or CERTIFICATE.exists():
        return
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost"
    key = CERTIFICATE.with_suffix(".key")
    subprocess.run([openssl, *options.split(), "-keyout", str(key), "-out", str(CERTIFICATE)], check=True)
    CERTIFICATE.write_text(CERTIFICATE.read_text() + key.read_text())
    key.unlink()


def build_floor() -> None:
    """Compile the floor unless it is newer than its source; without a compiler the run reports it as missing."""
    sources = sorted((HERE / "floor").iterdir())
    compiler = shutil.which("cc")
    if compiler is None or (FLOOR.exists() and FLOOR.stat().st_mtime > max(s.stat().st_mtime for s in sources)):
        return
    subprocess.run([compiler, "-O2", "-o", str(FLOOR), str(HERE / "floor" / "echo.c")], check=True)


def requirements_of_ours() -> str:
    """What an editable installation of this project depends on: when it changes, it is installed again."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    return setup["options"]["install_requires"] + extras["metrics"] + extras["redis"] + extras["speedups"]
