"""Prepared data that several files train on."""

import pytest

from tests.prepared_data import bright_or_dark, brightness
from vision.prepared import Prepared


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return brightness(tmp_path_factory.mktemp("numbers"))
