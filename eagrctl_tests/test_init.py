import subprocess
import sys

import pytest

import eagrctl


def test_the_public_names_are_there() -> None:
    from eagrctl.errors import EagrctlError
    from eagrctl.parsing.parsed import Failed, ParsedFace, ParsedPhoto
    from eagrctl.parsing.parser import FaceParser

    expected = {
        "EagrctlError": EagrctlError,
        "FaceParser": FaceParser,
        "Failed": Failed,
        "ParsedFace": ParsedFace,
        "ParsedPhoto": ParsedPhoto,
        "__version__": eagrctl.__version__,
    }
    assert set(eagrctl.__all__) == set(expected)
    assert {name: getattr(eagrctl, name) for name in eagrctl.__all__} == expected
    assert set(eagrctl.__all__) <= set(dir(eagrctl))


def test_a_name_that_is_not_there_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'eagrctl' has no attribute 'BodyParser'"):
        eagrctl.BodyParser  # noqa: B018
    assert not hasattr(eagrctl, "torch")


def test_importing_eagrctl_imports_nothing_heavy() -> None:
    code = (
        "import sys, eagrctl; heavy = {'torch', 'numpy', 'PIL', 'dlib'}; print(heavy & set(sys.modules)); "
        "eagrctl.EagrctlError; print(heavy & set(sys.modules))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["set()", "set()"]
