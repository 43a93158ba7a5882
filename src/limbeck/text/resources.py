"""Where things named in a recipe are: paths, files inside installed packages, names on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError

PACKAGE = "package:"


def resolve(ref: str) -> Path | str:
    """The path that a reference means, or the reference itself where it means none (a name on the hub).

    Args:
        ref: A path (``~`` is expanded), or ``package:NAME/FILE`` for a file or folder inside an installed
            package, which is found without importing it.

    Raises:
        LimbeckError: The package is not installed, or holds no such file.
    """
    if ref.startswith(PACKAGE):
        return _inside_package(ref)
    path = Path(ref).expanduser()
    return path if path.exists() else ref


def check_sums(checksums: Mapping[str, str]) -> None:
    """Compare files with the SHA-256 that they should have.

    Args:
        checksums: Reference, as in :func:`resolve`, to hexadecimal digest.

    Raises:
        LimbeckError: A file is missing, or is another one.
    """
    for ref, expected in checksums.items():
        path = resolve(ref)
        if not isinstance(path, Path) or not path.is_file():
            raise LimbeckError("no such file to check the SHA-256 of", where=ref)
        found = fingerprint.sha256(path)
        if found != expected.strip().lower():
            raise LimbeckError(
                f"its SHA-256 is {found}, and should be {expected}",
                where=ref,
                fix="Put the right file there, or correct 'checksums' in the recipe",
            )


def file_of_module(name: str) -> str | None:
    """The file of a module, as Python would import it; None where there is none."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


def contents(ref: str) -> str:
    """Digest of what a reference means: a file's bytes or a folder's files; a name on the hub is itself."""
    path = resolve(ref)
    if not isinstance(path, Path):
        return ref
    return fingerprint.of_files([path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()])


def _inside_package(ref: str) -> Path:
    name, _, inner = ref.removeprefix(PACKAGE).partition("/")
    # A dotted name would import its parent; only whole packages are looked up.
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None:
        fix = "Install the package that provides it, into this environment"
        raise LimbeckError(f"no package '{name}' is installed", where=ref, fix=fix)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    path = next((folder / inner for folder in folders if (folder / inner).exists()), None)
    if path is None:
        raise LimbeckError(f"the package '{name}' holds no '{inner}'", where=ref)
    return path
