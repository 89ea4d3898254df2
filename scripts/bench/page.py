"""How smooth a page of 2,000 rows is: the time between frames in headless Chromium while it steps, scrolls and filters.

    python scripts/bench/page.py [MESSAGES]

Records an echo of so many messages (230, which makes some 2,100 rows), makes its page, and prints for each action the
median, the 95th percentile and the longest time between two frames, in milliseconds; a screen shows one each 16.7.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver

_MEASURE = """
const [text, count, done] = arguments, act = new Function("i", text), times = [];
let last = performance.now(), i = 0;
const frame = (now) => {
  times.push(now - last);
  last = now;
  if (i >= count) return done(times.slice(2).sort((a, b) => a - b));
  act(i++);
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
ACTIONS = (
    ("nothing", "", ""),
    ("step, with details", "view('details')", "go(100 + i)"),
    ("step, with the table", "view('table')", "go(400 + i)"),
    ("step, with numbers", "view('plot')", "go(700 + i)"),
    ("scroll the ladder", "", "byId('ladder').scrollTop += 300"),
    ("scroll the table", "view('table')", "byId('table').scrollTop += 300"),
    ("point at a packet", "", "relate(rows[i * 7].dataset.row)"),
    ("filter", "", "byId('find').value = i % 2 ? 'write' : ''; filter()"),
)


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 230
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "echo.html")
        words = [word for number in range(messages) for word in ("--message", f"m{number}")]
        rawlab("capture", "tcp-echo", "-o", page.with_suffix(".pcapng"), *words)
        begun = time.perf_counter()
        rawlab("annotate", page.with_suffix(".pcapng"), "-o", page)
        print(f"made in {time.perf_counter() - begun:.2f} s, {page.stat().st_size:,} octets")
        measure(page)


def rawlab(*words: str | Path) -> None:
    command = [sys.executable, "-m", "rawlab", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(page: Path) -> None:
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--window-size=1280,720", *([] if os.geteuid() else ["--no-sandbox"])):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.set_script_timeout(120)
        driver.get(page.as_uri())
        print(f"{driver.execute_script('return rows.length')} rows")
        for name, before, act in ACTIONS:
            driver.execute_script(before)
            times = driver.execute_async_script(_MEASURE, act, 100)
            middle, late = times[len(times) // 2], times[len(times) * 95 // 100]
            print(f"{name:<24}median {middle:5.1f}   95 % {late:5.1f}   longest {times[-1]:5.1f}")
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
