"""References to paths and to files inside installed packages; checksums."""

import hashlib
import sys
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.text.resources import check_sums, resolve


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported to be looked into."""
    folder = tmp_path / "limbeck_test_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner" / "a.csv").write_text("text,label\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_files_inside_packages_are_found_without_import(package):
    assert resolve("package:limbeck_test_package/inner/a.csv") == package / "inner" / "a.csv"
    assert resolve("package:limbeck_test_package/inner") == package / "inner"
    assert resolve("package:limbeck_test_package") == package
    assert "limbeck_test_package" not in sys.modules


def test_packages_and_files_that_are_not_there(package):
    with pytest.raises(
        LimbeckError, match=r"no package 'nowhere' is installed\. Install the package that provides it"
    ):
        resolve("package:nowhere/a.csv")
    for ref in ("package:/a.csv", "package:limbeck_test_package.inner/a.csv", "package:../x"):
        with pytest.raises(LimbeckError, match=r"no package '.*' is installed"):
            resolve(ref)
    with pytest.raises(LimbeckError, match=r"the package 'limbeck_test_package' holds no 'b\.csv'"):
        resolve("package:limbeck_test_package/b.csv")
    with pytest.raises(LimbeckError, match=r"the package 'keyword' holds no 'b\.csv'"):
        resolve("package:keyword/b.csv")


def test_paths_and_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").touch()
    assert resolve("~/a") == tmp_path / "a"
    assert resolve(str(tmp_path)) == Path(tmp_path)
    assert resolve("org/model") == "org/model"


def test_check_sums(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"what is meant")
    digest = hashlib.sha256(b"what is meant").hexdigest()
    check_sums({str(path): digest.upper()})
    path.write_bytes(b"what is not")
    with pytest.raises(
        LimbeckError, match=rf"a: its SHA-256 is [0-9a-f]{{64}}, and should be {digest}\. Put the right"
    ):
        check_sums({str(path): digest})
    with pytest.raises(LimbeckError, match=r"b: no such file to check the SHA-256 of"):
        check_sums({str(tmp_path / "b"): digest})
    with pytest.raises(LimbeckError, match=r"no such file to check"):
        check_sums({str(tmp_path): digest})
