#!/usr/bin/env python3
"""Opens the admin page in a headless Chromium, lets a client talk, and checks what a person would see.

Usage: page.py CHROMIUM http://HOST:PORT/ SERVICE_HOST:PORT [FOLDER for screenshots]

It drives the browser through its debugging pipe, so it needs nothing but Python.
"""
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, program, folder):
        # Chromium reads commands from descriptor 3 and writes answers to 4, each ended by a zero byte.
        theirs_in, self.commands = os.pipe()
        self.answers, theirs_out = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}"]

        def connect():
            # Either may be in the way of the other.
            there = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(there[0], 3)
            os.dup2(there[1], 4)

        self.process = subprocess.Popen(
            [program, *flags], close_fds=False, preexec_fn=connect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.number, self.session = b"", 0, None
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log":
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                piece = os.read(self.answers, 1 << 20)
                assert piece, "the browser has ended"
                self.buffer += piece
            message, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(message)
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(answer["params"])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script):
        """Waits until the script is true in the page, and returns its value."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if value := self.evaluate(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; the page says {self.evaluate('document.body.innerText')!r}")

    def show(self, width, height, scheme):
        """Lets the page have this size and colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.evaluate("dispatchEvent(new Event('resize'))")

    def save(self, path):
        picture = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        with open(path, "wb") as file:
            file.write(picture)

    def end(self):
        self.process.kill()
        self.process.wait()


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
