"""What all tests share: the slow ones are skipped unless they are asked for."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `slow`, unless BQ2_TEST_SLOW is set."""
    if "BQ2_TEST_SLOW" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: BQ2_TEST_SLOW=1"))
