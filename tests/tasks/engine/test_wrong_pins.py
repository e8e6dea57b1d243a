"""tasks/engine/wrong_pins.py: where a wrong pin is written, and what corrects it."""

from __future__ import annotations

from tasks.engine.wrong_pins import remedies
from tests.tasks.toy import Checkout

WRONG = "ab" * 32


def test_the_packages_of_a_seed_are_pinned_by_lock(toy: Checkout) -> None:
    lock = toy.root / "plan" / "seeds" / "debian-x86_64.lock.yaml"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(f"# pinned\n- {{name: x, sha256: {WRONG}}}\n")
    (said,) = remedies(toy.project(), {WRONG: {"http://a/x": "7 bytes instead of 8"}})
    assert said.startswith("plan/seeds/debian-x86_64.lock.yaml:2: the pinned file and that of")
    assert said.endswith("doit lock pins the seed's packages again")


def test_the_root_of_another_seed_is_corrected_by_hand(toy: Checkout) -> None:
    toy.alpine(WRONG, 8, "https://x.test/seed.tar")
    (said,) = remedies(toy.project(), {WRONG: {"http://a/x": "7 bytes instead of 8"}})
    assert said.startswith("plan/seeds/alpine.yaml:3: ") and said.endswith("correct that entry")


def test_a_pin_that_no_file_contains(toy: Checkout) -> None:
    answers = {"http://a/x": "7 bytes instead of 8", "http://b/x": "9 bytes instead of 8"}
    (said,) = remedies(toy.project(), {WRONG: answers})
    assert said == f"the pinned file and that of the server differ (sha256 {WRONG})"
