#!/usr/bin/env python3
"""Writes the CHECK lines of golden tests whose RUN line ends in '| %pinned %s', from what octavo says now. Look at the difference
before you commit it.   tests/golden/pin.py build-release/octavo tests/golden/language/*.8vo"""
import re
import subprocess
import sys


def pin(octavo, path):
    with open(path, "rb") as f:
        body = [line for line in f.read().split(b"\n") if not line.startswith(b"# CHECK")]
    run = re.match(rb"# RUN: %exits (\d+) octavo (.*) 2>&1 \| %pinned %s$", body[0])
    if not run:
        return
    while not body[-1]:
        body.pop()
    with open(path, "wb") as f:
        f.write(b"\n".join(body) + b"\n")
    words = [path if word == "%s" else word for word in run[2].decode().split()]
    done = subprocess.run([octavo] + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != int(run[1]):
        sys.exit(f"{path}: exit code {done.returncode}:\n{done.stdout.decode(errors='replace')}")
    checks = []
    for i, line in enumerate(done.stdout.rstrip(b"\n").split(b"\n")):
        here = len(body) + 1 + i  # number of the CHECK line
        place = re.match(re.escape(path.encode()) + rb":(\d+):(.*)$", line)
        if place:
            name = path.rsplit("/", 1)[-1].encode()
            line = b"{{.*}}%s:[[#@LINE-%d]]:%s" % (name, here - int(place[1]), place[2])
        checks.append(b"# CHECK%s:%s" % (b"-NEXT" if i else b"", line))
    with open(path, "ab") as f:
        f.write(b"\n".join(checks) + b"\n")


for file in sys.argv[2:]:
    pin(sys.argv[1], file)
