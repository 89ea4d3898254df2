"""The quiz in a real browser: filled in, checked, saved; and `rawlab check` grades what was saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.browser.conftest import CAPTURES, PATIENCE, Browser
from tests.test_checking import rawlab

Opened = Callable[[str], Browser]


def fill(browser: Browser, wrong: int = 0) -> int:
    """Answers everything right, but for the first few; how many there are."""
    right = "answers[field.dataset.id].right[0]"
    browser.js(f"fields.forEach((field, i) => {{ field.value = i < arguments[0] ? '' : {right} }})", wrong)
    return int(browser.js("return fields.length"))


def test_answers_are_checked_explained_saved_and_graded(opened: Opened, folder: Path) -> None:
    """What the page saves is a small file, and its grades are those that the page said."""
    browser = opened("quiz.html")
    count = fill(browser, wrong=2)
    browser.one("#name").send_keys("Ada Lovelace")
    browser.click("#check")
    assert f"{count - 2} of {count} right" in browser.text("#said")
    assert "is right: " in browser.text(".verdict.bad")
    assert browser.one(".answer").get_attribute("disabled")
    browser.click("#save")
    saved = folder / "Ada-Lovelace.json"
    _wait_for(browser, saved)
    assert json.loads(saved.read_text()) == json.loads(browser.one("#saved").get_attribute("value"))
    done = rawlab("check", saved, CAPTURES / "tcp-echo.pcapng", "--format", "tsv")
    name, attempt, right, wrong, none, of, *_ = done.stdout.splitlines()[1].split("\t")
    assert (name.strip(), int(attempt)) == ("Ada Lovelace", 1)
    assert [int(right), int(wrong), int(none), int(of)] == [count - 2, 0, 2, count]


def test_another_attempt_is_counted(opened: Opened) -> None:
    """And begins empty."""
    browser = opened("quiz.html")
    fill(browser)
    browser.click("#check")
    browser.click("#again")
    assert browser.js("return fields.every((field) => !field.value && !field.disabled)")
    browser.click("#check")
    assert json.loads(browser.js("return saved()"))["attempt"] == 2


def test_a_hostile_capture_s_quiz_is_words(opened: Opened) -> None:
    """In cells, choices and reasons."""
    browser = opened("hostile-quiz.html")
    browser.click("#check")
    assert browser.contents() == [2, 0, 1]


def _wait_for(browser: Browser, file: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser.driver, PATIENCE, 0.05).until(lambda _: file.exists() and file.stat().st_size > 0)
