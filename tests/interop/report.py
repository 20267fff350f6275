#!/usr/bin/env python3
"""Opens the report of a load in a headless Chromium, and checks what a person would see.

Usage: report.py CHROMIUM REPORT.html RESULT.json [FOLDER for screenshots]
"""
import json
import pathlib
import sys
import tempfile

from browser import Browser

UNITS = {"µs": 1, "ms": 1e3, "s": 1e6}


def figure(title):
    return f"[...document.querySelectorAll('figure')].find((one) => one.querySelector('h2').innerText.startsWith('{title}'))"


def legend(browser, title):
    """Returns the values that the legend of a chart shows, by name, and where the cursor is."""
    keys = browser.evaluate(
        f"[...({figure(title)}).querySelectorAll('.key:not(.asked)')].map((key) => [key.childNodes[1].data.trim(), key.querySelector('b').innerText])"
    )
    return dict(keys), browser.evaluate(f"({figure(title)}).querySelector('.at').innerText")


def microseconds(text):
    number, unit = text.split()
    return float(number) * UNITS[unit]


def assert_close(text, expected):
    assert abs(microseconds(text) / expected - 1) < 0.006, (text, expected)


def point_at(browser, title, share, event="mouseMoved"):
    """Moves the pointer over a chart, this share of its width from the left."""
    area = browser.evaluate(
        f"(() => {{ const svg = ({figure(title)}).querySelector('svg'); svg.scrollIntoView({{block: 'center'}});"
        " const {left, top, width, height} = svg.getBoundingClientRect(); return [left, top, width, height] })()"
    )
    left, top, width, height = area
    browser.call("Input.dispatchMouseEvent", type=event, x=left + share * width, y=top + height / 2)


def press(browser, key):
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)


def check(browser, page, result):
    browser.show(1280, 900, "light")
    browser.call("Page.navigate", url=page)
    browser.wait("document.readyState === 'complete' && document.querySelector('.at').innerText.includes('point')")
    steps, readings = result["timeline"]["steps"], result["timeline"]["server"]
    total = result["warmup_s"] + result["elapsed_s"]
    for step in (steps[2], steps[len(steps) // 2], steps[-1]):
        point_at(browser, "Latency over time", step["at_s"] / total)
        values, at = legend(browser, "Latency over time")
        assert abs(float(at.split()[1]) - step["at_s"]) < 0.011 and at.endswith(" s"), (at, step)
        for name, field in ("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"):
            assert_close(values[name], step[field])
        # All charts over time show the same moment.
        values, also = legend(browser, "Rate over time")
        assert at == also and abs(float(values["answers"].replace(",", "")) - step["rate"]) < 1, (values, step)
    cursor = f"getComputedStyle(({figure('Latency over time')}).querySelector('.cursor')).visibility"
    assert browser.evaluate(cursor) == "visible"
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert browser.evaluate(cursor) == "hidden" and legend(browser, "Latency over time")[1] == ""
    point_at(browser, "Processor time of the server", readings[0]["at_s"] / total)
    values, _ = legend(browser, "Processor time of the server")
    assert abs(float(values["processor"].split()[0]) - 100 * readings[0]["cores"]) < 0.5, (values, readings[0])

    # With the keyboard, and where nines are counted.
    browser.evaluate(f"({figure('Latency by percentile')}).querySelector('.plot').focus()")
    press(browser, "Home")
    assert legend(browser, "Latency by percentile")[1] == "at p0"
    for name, field in ("p50", "p50"), ("p90", "p90"), ("p99", "p99"):
        while legend(browser, "Latency by percentile")[1] != f"at {name}":
            press(browser, "ArrowRight")
        values, _ = legend(browser, "Latency by percentile")
        assert_close(values["response"], result["response_us"][field])
        assert_close(values["service"], result["service_us"][field])
    press(browser, "End")
    assert browser.evaluate("document.activeElement.parentElement.querySelector('.legend').ariaLive") == "polite"

    # The legend covers no curve, and is as high with values as without.
    boxes = "[...document.querySelectorAll('figure')].map((one) => one.querySelector('.legend').getBoundingClientRect().bottom <= one.querySelector('svg').getBoundingClientRect().top)"
    assert all(browser.evaluate(boxes))
    for width, scheme, ground in (1280, "light", "246"), (1280, "dark", "20"), (400, "light", "246"), (400, "dark", "20"):
        browser.show(width, 900, scheme)
        color = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert color.startswith(f"rgb({ground},"), (scheme, color)
        overflow = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{overflow} pixels too wide at {width}"
        high = "document.documentElement.scrollHeight"
        before = browser.evaluate(high)
        point_at(browser, "Latency over time", 0.5)
        assert browser.evaluate(high) == before, "the page moves below the pointer"
    assert browser.requests == [page], browser.requests
    assert not browser.complaints, browser.complaints
    # The policy lets nothing else run, and nothing leave.
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x\" onerror=\"window.ran = 1\">')")
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    browser.evaluate("fetch('http://127.0.0.1:9/x').catch(() => window.refused = 1)")
    browser.wait("window.refused")
    assert browser.evaluate("window.ran ?? 'nothing'") == "nothing"


def main():
    program, page, result = sys.argv[1:4]
    page = pathlib.Path(page).absolute().as_uri()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            if len(sys.argv) == 4:
                check(browser, page, json.loads(pathlib.Path(result).read_text()))
                return
            browser.call("Page.navigate", url=page)
            browser.wait("document.readyState === 'complete'")
            for width, scheme in (1280, "light"), (1280, "dark"), (400, "light"), (400, "dark"):
                browser.show(width, 900, scheme)
                height = browser.evaluate("document.documentElement.scrollHeight")
                browser.show(width, height, scheme)
                browser.save(f"{sys.argv[4]}/report-{width}-{scheme}.png")
        finally:
            browser.end()


main()
