"""The page in a real browser: each thing that a lecturer does with it, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.views.rows import rows
from tests.browser.conftest import CAPTURES, Browser

Opened = Callable[[str], Browser]
RIGHT, LEFT, HOME, END, ESCAPE = "\ue014", "\ue012", "\ue011", "\ue010", "\ue00c"
ROWS = list(rows(load(CAPTURES / "tcp-echo.pcapng")))
STEP = {row.label: number for number, row in reversed(list(enumerate(ROWS, 1)))}


def at(browser: Browser) -> int:
    """The step that the page is at."""
    return int(browser.js("return step"))


def test_stepping_by_keys_and_buttons(opened: Opened) -> None:
    """Right, space and the button go on; left and shift-space back; Home and End to the ends; Escape shows all."""
    browser = opened("tcp.html")
    assert at(browser) == 0
    for keys, step in ((RIGHT, 1), (" ", 2), (RIGHT, 3), (LEFT, 2), (END, len(ROWS)), (RIGHT, len(ROWS)), (HOME, 1)):
        browser.press(keys)
        assert at(browser) == step
    browser.click("#next")
    browser.click("#next")
    browser.click("#back")
    assert at(browser) == 2
    browser.one("body").send_keys("\ue008", " ")  # shift
    assert at(browser) == 1
    browser.click("#last")
    assert at(browser) == len(ROWS)
    browser.click("#first")
    assert at(browser) == 1
    browser.press(ESCAPE)
    assert at(browser) == 0


def test_a_step_says_its_row_and_its_reason(opened: Opened) -> None:
    """In a live region; the row is marked in the table, the later ones are dimmed, and the ladder behind a curtain."""
    step = STEP["p6"]
    browser = opened(f"tcp.html#step={step}")
    assert browser.text("#at") == f"{step} of {len(ROWS)}"
    assert browser.text("#sentence") == ROWS[step - 1].why
    assert browser.one("#said").get_attribute("aria-live") == "polite"
    assert browser.js("return document.querySelector('tr[aria-current]').dataset.row") == "p6"
    assert browser.js("return rows.filter((row) => row.classList.contains('later')).length") == len(ROWS) - step
    curtain = browser.js("return [curtain.y.baseVal.value, curtain.height.baseVal.value, size.height]")
    assert curtain[0] + curtain[1] == pytest.approx(curtain[2])
    assert browser.js("return document.querySelector('.present [data-row=p6]') !== null")


def test_stepping_gives_nothing_away(opened: Opened) -> None:
    """What has not happened yet is not to be read in the ladder, nor what a call will return; the whole shows all."""
    step = STEP["c6"]
    browser = opened(f"tcp.html#step={step}")
    call = browser.one("#ladder [data-row=c6]")
    assert ROWS[step - 1].text.startswith("connect(3, 10.0.0.2:7 <unf")
    assert call.text == "connect(3, 10.0.0.2:7 …"
    happened = {row.label for row in ROWS[:step]}
    seen = "return [...document.querySelectorAll('#ladder [data-row]')].filter((it) =>"
    seen += " getComputedStyle(it).visibility === 'visible').map((it) => it.dataset.row)"
    assert set(browser.js(seen)) == happened
    state = "return lanes.filter(({ lane }) => lane.dataset.state === 'SYN-SENT')[0].lane.classList.contains('ahead')"
    assert browser.js(state)
    browser.js("go(arguments[0])", STEP["p3"])
    assert not browser.js(state)
    browser.press(ESCAPE)
    assert set(browser.js(seen)) == {row.label for row in ROWS}
    assert call.text == "connect(3, 10.0.0.2:7) = 0"


def test_notes_stand_on_lines_of_their_own(opened: Opened) -> None:
    """Below the sentence, which does not run into them."""
    browser = opened("noted.html")
    browser.js("go(rows.findIndex((row) => row.querySelector('.note')) + 1)")
    sentence, notes = browser.text("#sentence"), browser.text("#noted").split("\n")
    assert notes
    assert all(note and note not in sentence for note in notes)
    assert browser.js("return byId('noted').offsetTop >= byId('sentence').offsetTop + byId('sentence').offsetHeight")


def test_the_row_stays_in_sight(opened: Opened) -> None:
    """When the panel grows, shrinks or shows something else."""
    browser = opened(f"tcp.html#step={STEP['p6']}")
    for control in ("#large", "#fold", "#fold", "[aria-controls=states]", "#large"):
        browser.click(control)
        assert browser.js(
            "const it = groups.get('p6').querySelector('.line').getBoundingClientRect(), room = "
            "frame.getBoundingClientRect(); return it.top >= room.top && it.bottom <= room.bottom + 1"
        ), control


def test_a_link_leads_to_a_step(opened: Opened) -> None:
    """The address tells the step, opens at it, and follows when it is changed."""
    browser = opened("tcp.html#step=7")
    assert at(browser) == 7
    browser.press(RIGHT)
    browser.until("return location.hash === '#step=8'")
    assert browser.one("#link").get_attribute("href").endswith("#step=8")
    browser.js("location.hash = '#step=3'")
    browser.until("return step === 3")
    browser.press(ESCAPE)
    browser.until("return location.hash === ''")


def test_play_goes_on_by_itself_and_pause_stops(opened: Opened) -> None:
    """At the pace chosen; at the last row it ends."""
    browser = opened("tcp.html")
    browser.js("byId('pace').value = 'x1'")
    browser.click("#play")
    browser.until("return step >= 3")
    stopped = browser.js("if (timer) byId('play').click(); return [byId('play').textContent, timer]")
    assert stopped == ["Play", 0]
    browser.js("go(rows.length - 1)")
    browser.click("#play")
    browser.until("return step === rows.length && byId('play').textContent === 'Play'")


def test_the_pace_is_even_or_as_it_was(opened: Opened) -> None:
    """So many times slower, within what a class can wait for."""
    browser = opened("tcp.html")
    pauses = browser.js(
        "const pauses = {}; for (const pace of ['500', 'x1000', 'x100000']) { byId('pace').value = pace;"
        "pauses[pace] = rows.map((_, i) => pause(i + 1)) } return pauses"
    )
    assert set(pauses["500"]) == {500}
    took = (ROWS[STEP["p4"]].at_ns - ROWS[STEP["p4"] - 1].at_ns) / 1e6
    assert pauses["x100000"][STEP["p4"] - 1] == pytest.approx(took * 100_000, abs=100)
    assert all(150 <= pause <= 4000 for pause in pauses["x1000"])


def test_a_packet_is_taken_apart(opened: Opened) -> None:
    """Clicked in the ladder: its fields with bits, its octets, those of a field marked, and who wrote them."""
    browser = opened("tcp.html")
    browser.click("#ladder [data-row=p6] text")
    assert "p6" in browser.text("#details h2")
    assert at(browser) == 0
    assert browser.text("#details .reason") == ROWS[STEP["p6"] - 1].why
    marked = "return [...document.querySelectorAll('.hex .hit')]"
    browser.field("Source Port", "click")
    assert browser.js(f"{marked}.map((it) => it.dataset.o)") == ["34", "35"] * 2
    assert "written by the client's kernel" in browser.text("#bits")
    browser.field("PSH", "focus")
    assert browser.text("#bits").startswith("octet 47: 0001[1]000;")
    browser.field("octets", "click")
    assert "the client's process: c7, its octets 0 to 4" in browser.text("#bits")
    assert browser.js(f"{marked}.slice(-5).map((it) => it.textContent).join('')") == "hello"
    browser.field("Sequence Number", "click")
    assert "(relative: 1)" in browser.text(".field[aria-pressed=true]")
    browser.click("#ladder [data-row=p10] text")
    assert "(relative: 6)" in browser.text(".field[aria-pressed=true]")


def test_a_call_is_explained(opened: Opened) -> None:
    """Its prototype, arguments, result, and what the call does; and its packets are a click away."""
    browser = opened("tcp.html")
    browser.click("#ladder [data-row=c6] text")
    text = browser.text("#details")
    assert "int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);" in text
    assert "10.0.0.2:7" in text
    assert "In the kernel" in text
    browser.click("#details [data-to=p3]")
    assert "p3" in browser.text("#details h2")


def test_cause_and_effect_are_tied(opened: Opened) -> None:
    """The mouse over a packet marks the call that sent it, what it led to, and the lines between; away, no more."""
    browser = opened("tcp.html")
    browser.point("#ladder [data-row=p6] text")
    marked = "return [...document.querySelectorAll(arguments[0])].map((it) => it.dataset.row)"
    assert browser.js(marked, "#ladder .cause") == ["c7"]
    assert "p7" in browser.js(marked, "#ladder .effect")
    assert browser.js("return document.querySelectorAll('.tie.tied').length") >= 1
    browser.point("h1")
    assert browser.js(marked, "#ladder .cause") == []


@pytest.mark.parametrize(("name", "state"), [("tcp.html", "SYN-SENT"), ("sctp.html", "COOKIE-WAIT")])
def test_the_diagram_lights_the_present_states(opened: Opened, name: str, state: str) -> None:
    """Each host at its own; at the end, the CLOSED that stands there."""
    browser = opened(name)
    browser.click("[aria-controls=states]")
    browser.js("go(rows.findIndex((row) => row.querySelector('.is').textContent === arguments[0]) + 1)", state)
    lit = "return [...document.querySelectorAll('.node.lit')].map((it) => [it.dataset.state, it.lastChild.textContent])"
    assert [state, "client"] in browser.js(lit)
    browser.js("go(rows.length)")
    assert browser.js("return document.querySelector('.node[data-end]').classList.contains('lit')")


@pytest.mark.parametrize(
    ("name", "step", "end"),
    [("reset.html", 20, True), ("reset.html", 24, False), ("reset.html", 38, False), ("filtered.html", 7, False)],
)
def test_closed_is_the_end_of_what_was_open(opened: Opened, name: str, step: int, end: bool) -> None:
    """A new socket is at the diagram's beginning, whatever came before it; so is one that never was connected."""
    browser = opened(f"{name}#step={step}")
    who = "return [...document.querySelectorAll('.node[data-state=CLOSED]')].filter((it) =>"
    who += " it.lastChild.textContent.includes('client')).map((it) => 'end' in it.dataset)"
    assert browser.js(who) == [end]


def test_of_two_protocols_the_diagram_is_the_row_s(opened: Opened) -> None:
    """Where a run has TCP and SCTP, one of the two is seen."""
    browser = opened("both.html")
    browser.click("[aria-controls=states]")
    for state, protocol in (("SYN-SENT", "TCP"), ("COOKIE-WAIT", "SCTP"), ("SYN-SENT", "TCP")):
        browser.js("go(rows.findIndex((row) => row.querySelector('.is').textContent === arguments[0]) + 1)", state)
        seen = [it.get_attribute("data-of") for it in browser.driver.find_elements("css selector", ".diagram")]
        assert seen == ["TCP", "SCTP"]
        assert browser.one(f".diagram[data-of={protocol}]").is_displayed()
        assert browser.js("return diagrams.filter((it) => it.hasAttribute('hidden')).length") == 1


def test_sequence_numbers_are_drawn(opened: Opened) -> None:
    """A bar for what was sent, a dot for what acknowledges; a click leads to the row; both axes, both directions."""
    browser = opened("tcp.html")
    browser.click("[aria-controls=plot]")
    count = "return [document.querySelectorAll('#chart .sent').length, document.querySelectorAll('#chart .ack').length]"
    assert browser.js(count) == [3, 4]
    for control, value in (("axis", "time"), ("upto", "window"), ("way", "1")):
        browser.choose(control, value)
        assert browser.js(count)[0] == 3
    browser.js("document.querySelector('#chart .sent').dispatchEvent(new Event('click', {bubbles: true}))")
    assert browser.text("#text").startswith("server → client")


def test_the_plot_counts_in_round_numbers_and_fits(opened: Opened) -> None:
    """1, 2 or 5 times a power of ten; all of it in sight in a window of 1280 by 720."""
    browser = opened("reset.html")
    browser.click("[aria-controls=plot]")
    for low, high, apart in ((0, 7, 2), (0, 23_456, 5000), (4, 12, 2)):
        ticks = list(range(low, high + 1, apart))
        assert browser.js("return round(arguments[0], arguments[1], 5)", low, high) == ticks
    assert browser.js("return plot.scrollHeight <= plot.clientHeight")


def test_finding_and_filtering(opened: Opened) -> None:
    """By text, kind, protocol, host and flag; the others leave the table, fade in the ladder, and are stepped over."""
    browser = opened("tcp.html")
    shown = "return rows.filter((row) => !row.hidden).map((row) => row.dataset.row)"
    browser.one("#find").send_keys("hello")
    assert set(browser.js(shown)) == {row.label for row in ROWS if "hello" in row.text + row.why}
    assert "of" in browser.text("#found")
    browser.js("byId('find').value = ''")
    for control, value, labels in (
        ("flag", "SYN", ["p3", "p4"]),
        ("kind", "ARP", ["p1", "p2"]),
    ):
        browser.choose(control, value)
        assert browser.js(shown) == labels
        assert not browser.js("return groups.get(arguments[0]).classList.contains('out')", labels[0])
        assert browser.js("return groups.get('c1').classList.contains('out')")
        browser.js("go(0); chosen = null; turn(1)")
        assert browser.js("return chosen") == labels[0]
        browser.js("byId(arguments[0]).value = ''", control)
    browser.js("byId('host').value = 'client'; filter()")
    assert set(browser.js(shown)) == {row.label for row in ROWS if row.host == "client"}


def test_the_presenter_shows_large_type(opened: Opened) -> None:
    """The ladder and the sentence, and a link that opens so."""
    browser = opened("tcp.html#step=7")
    size = "return parseFloat(getComputedStyle(byId('sentence')).fontSize)"
    small = browser.js(size)
    browser.click("#presenter")
    assert browser.js(size) > small * 1.4
    assert not browser.one("#views").is_displayed()
    link = browser.one("#link").get_attribute("href")
    browser = opened(f"tcp.html#{link.partition('#')[2]}")
    assert browser.js("return document.body.classList.contains('presenter')")
    assert at(browser) == 7
    browser.press(ESCAPE)
    assert not browser.js("return document.body.classList.contains('presenter')")


def test_light_and_dark(opened: Opened, browser: Browser) -> None:
    """As the system says, and by the switch, the ladder with the rest."""
    ground = "getComputedStyle(drawing.querySelector('.ground')).fill"
    colours = f"return [getComputedStyle(document.body).backgroundColor, {ground}]"
    browser.look(scheme="dark")
    opened("tcp.html")
    dark = browser.js(colours)
    browser.click("#theme")
    light = browser.js(colours)
    assert light == ["rgb(255, 255, 255)"] * 2
    assert dark == ["rgb(18, 18, 18)"] * 2
    browser.look(scheme="light")
    browser.click("#theme")
    assert browser.js(colours) == dark


def test_paper_gets_ladder_and_table(opened: Opened, browser: Browser) -> None:
    """Without what only a screen can do."""
    opened("tcp.html#step=5")
    browser.look(media="print")
    assert browser.one("#rows").is_displayed()
    assert browser.one("#ladder").is_displayed()
    for selector in ("header .tools", "footer", "nav", "#details", ".curtain"):
        assert not browser.one(selector).is_displayed()


def test_the_keyboard_reaches_everything_and_shows_where_it_is(opened: Opened) -> None:
    """In the order of the page, each with a visible focus."""
    browser = opened("tcp.html#step=14")
    reached = []
    for _ in range(12):
        browser.press("\ue004")  # Tab
        name, outline = browser.js(
            "const it = document.activeElement; return [it.id || it.textContent, getComputedStyle(it).outlineStyle]"
        )
        assert outline != "none", name
        reached.append(name)
    assert reached[:7] == ["find", "kind", "host", "flag", "presenter", "theme", "ladder"]
    assert "Details" in reached


def test_hostile_words_stay_words(opened: Opened) -> None:
    """No element of theirs, no dialog; they are read as they are."""
    browser = opened("hostile.html")
    for step in range(1, browser.js("return rows.length") + 1):
        browser.js("go(arguments[0])", step)
    for view in ("table", "states", "plot", "details"):
        browser.click(f"[aria-controls={view}]")
    assert browser.contents() == [2, 0, 1]
    assert "</script></style></title><img src=x onerror=alert(1)>" in browser.text("h1")


def test_the_policy_holds(opened: Opened) -> None:
    """A script, a handler, a style and an image that came in all the same do nothing."""
    browser = opened("tcp.html")
    stopped = browser.driver.execute_async_script(
        "const done = arguments[0], seen = new Set();"
        "document.addEventListener('securitypolicyviolation', (event) => {"
        " seen.add(event.effectiveDirective); if (seen.size === 4) done([...seen].sort()) });"
        "const add = (tag, set) => { const it = document.createElement(tag); set(it); document.body.append(it) };"
        "add('script', (it) => { it.textContent = 'window.hurt = 1' });"
        "add('p', (it) => { it.setAttribute('onclick', 'window.hurt = 1'); it.click() });"
        "add('style', (it) => { it.textContent = 'body { color: red }' });"
        "add('img', (it) => { it.src = 'file:///rawlab-test-no-such-image.png' });"
    )
    assert stopped == ["img-src", "script-src-attr", "script-src-elem", "style-src-elem"]
    assert browser.js("return window.hurt === undefined")
    assert len(browser.complaints()) >= 4
    browser.requests()


def test_what_has_neither_states_nor_numbers_says_so(opened: Opened) -> None:
    """An echo over UDP: no diagram, no plot, and all else as ever."""
    browser = opened("udp.html#step=3")
    for view, word in (("states", "Neither TCP nor SCTP"), ("plot", "No packet here has sequence numbers")):
        browser.click(f"[aria-controls={view}]")
        assert word in browser.text(f"#{view}")


def test_two_thousand_rows(opened: Opened) -> None:
    """Are all there: stepped to, searched, and those out of sight not laid out."""
    browser = opened("long.html")
    count = browser.js("return rows.length")
    assert count > 2000
    browser.press(END)
    assert at(browser) == count
    browser.click("[aria-controls=table]")
    browser.one("#find").send_keys("seq 2496:2501")
    assert browser.js("return rows.filter((row) => !row.hidden).length") == 1
    assert browser.js("return getComputedStyle(document.querySelector('#rows tbody')).contentVisibility") == "auto"


def _axe() -> str:
    module = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    return Path(str(module.__file__)).with_name("axe.min.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (390, 844)])
def test_axe_finds_nothing(browser: Browser, opened: Opened, width: int, height: int, scheme: str) -> None:
    """WCAG 2.2 AA as far as axe-core tests it, in its views; and the page is no wider than its window."""
    axe = _axe()
    browser.look(width=width, height=height, scheme=scheme)
    for name in ("tcp.html#step=14", "quiz.html"):
        opened(name)
        browser.js(axe)
        views = ("details", "table", "states", "plot")[: 4 if width == 1280 else 2] if name.startswith("tcp") else ("",)
        for view in views:
            if view:
                browser.js("view(arguments[0])", view)
            else:
                browser.click("#check")
            told = browser.driver.execute_async_script(
                "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((result) =>"
                " done(result.violations.map((it) => `${it.id}: ${it.nodes[0].html}`)))"
            )
            assert told == [], view
            wide = browser.js("return [document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1]


def test_every_capture_s_page_opens(browser: Browser, folder: Path) -> None:
    """Without a word on the console, at its last step, in each view."""
    page = import_module("rawlab.views.page")
    for file in sorted(CAPTURES.glob("*.pcapng")):
        path = folder / f"each-{file.stem}.html"
        path.write_text(page.render(load(file)))
        browser.open(path.name, "#step=5")
        browser.press(END)
        for view in ("table", "states", "plot", "details"):
            browser.js("view(arguments[0])", view)
        assert at(browser) == browser.js("return rows.length"), file.stem
