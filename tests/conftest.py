"""For all tests: slow tests run only on request, and the longest tests run first."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `slow`, unless BQ2_TEST_SLOW is set."""
    # Where tests run side by side, nothing waits for the longest file at the end.
    items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)
    if "BQ2_TEST_SLOW" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: BQ2_TEST_SLOW=1"))
