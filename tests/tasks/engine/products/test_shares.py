"""tasks/engine/products/shares.py: what each package costs in the image."""

from __future__ import annotations

import pytest

from tasks.engine.products.shares import shares
from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace


def test_the_bytes_of_each_package(built: Checkout) -> None:
    script = "printf %10000s >$share/top; mkdir /dest/usr/include; cp $share/top /dest/usr/include"
    built.recipe("top", script, "left", "right")
    built.builds("top", "kernel")
    found = shares(built.project())
    assert [*found] == ["bottom", "left", "right", "top"], "not the kernel, which holds them"
    assert (found["bottom"].files, found["bottom"].size) == (1, len("bottom\n"))
    top = found["top"]
    assert (top.files, top.size) == (1, 10_000), "without what the set leaves out"
    assert top.packed and top.packed < 200


def test_of_two_packages_with_one_file_the_later_pays(built: Checkout) -> None:
    script = "echo right >$share/right; echo long text >$share/left"
    built.recipe("right", script, "left")
    built.builds("right", "top", "kernel")
    found = shares(built.project())
    assert (found["left"].files, found["right"].size) == (0, len("right\nlong text\n"))


def test_a_root_partition_is_not_compressed(built: Checkout) -> None:
    file = built.root / "plan" / "sets.yaml"
    file.write_text(file.read_text().replace("  exclude: [usr/src]", "  exclude: []\n  root: yes"))
    (built.root / "plan" / "toolbox.yaml").write_text("every: []\nimage: []\n")
    found = shares(built.project())
    assert found["kernel"].size and {share.packed for share in found.values()} == {None}
