#!/usr/bin/env python3
"""Opens the admin page in a headless Chromium, lets a client talk, and checks what a person would see.

Usage: page.py CHROMIUM http://HOST:PORT/ SERVICE_HOST:PORT [FOLDER for screenshots]
"""
import socket
import sys
import tempfile
import time

from browser import PATIENCE, Browser


def talk(client, message):
    client.sendall(message)
    received = b""
    while len(received) < len(message):
        received += client.recv(65536)
    assert received == message


def check(browser, page, service):
    browser.show(1280, 1000, "light")
    browser.call("Page.navigate", url=page)
    browser.wait("document.readyState === 'complete' && document.getElementById('state')?.innerText === 'serving'")
    # A reload would lose this.
    browser.evaluate("window.mark = 'the first page'")
    cell = "document.querySelector('#rows tr td:nth-child({})')?.innerText"
    peers = "[...document.querySelectorAll('#rows td:nth-child(2)')].map((cell) => cell.innerText)"
    host, port = service.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        own = ":".join(map(str, client.getsockname()[:2]))
        talk(client, b"hola\n")
        browser.wait(f"{peers}.includes('{own}') && {cell.format(7)} === '1'")
        talk(client, b"x" * 1024)
        browser.wait(f"{cell.format(7)} === '2' && {cell.format(8)} === '1.0 KiB' && {cell.format(9)} === '1.0 KiB'")
        charts = browser.wait("[...document.querySelectorAll('.value')].map((value) => value.innerText)[3].includes('2 in all')"
                              " && [...document.querySelectorAll('figure')].map((figure) => figure.innerText)")
        assert len(charts) == 5, charts
        assert charts[0].startswith("Live sessions") and "of 512 workers" in charts[0], charts
        # Each has a scale, and those of live sessions and bytes a line above zero.
        assert all("5 min ago" in chart and "now" in chart for chart in charts), charts
        drawn = browser.evaluate("[...document.querySelectorAll('svg')].map((svg) => svg.querySelectorAll('path.line').length)")
        assert drawn == [1, 1, 1, 1, 2], drawn
        sort = "document.querySelector('#columns th:nth-child(7)').{}"
        browser.evaluate(sort.format("firstChild.click()"))
        assert browser.evaluate(sort.format("getAttribute('aria-sort')")) == "descending"
    browser.wait("document.getElementById('rows').children.length === 0 && document.body.innerText.includes('No client')")
    assert browser.evaluate("window.mark") == "the first page"
    for width, scheme, ground in (1280, "light", "246"), (1280, "dark", "20"), (390, "light", "246"):
        browser.show(width, 844, scheme)
        color = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert color.startswith(f"rgb({ground},"), (scheme, color)
        overflow = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{overflow} pixels too wide at {width}"
    # The policy lets nothing else run.
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"x\" onerror=\"window.ran = 1\">')")
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    time.sleep(0.2)
    assert browser.evaluate("window.ran ?? 'nothing'") == "nothing"


def main():
    program, page, service = sys.argv[1:4]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            if len(sys.argv) > 4:
                browser.show(1280, 1000, "light")
                browser.call("Page.navigate", url=page)
                browser.wait("document.getElementById('state')?.innerText === 'serving'")
                browser.wait("document.querySelectorAll('svg text').length > 10")
                for name, width, height, scheme in (
                    ("light", 1280, 1000, "light"),
                    ("dark", 1280, 1000, "dark"),
                    ("tablet", 820, 1000, "dark"),
                    ("phone", 390, 1100, "light"),
                ):
                    browser.show(width, height, scheme)
                    browser.save(f"{sys.argv[4]}/{name}.png")
            else:
                check(browser, page, service)
                before_last_step = [entry for entry in browser.complaints if "Content Security Policy" not in str(entry)]
                assert not before_last_step, before_last_step
        finally:
            browser.end()


main()
