#!/usr/bin/env python3
"""The Linux example for 64-bit and 32-bit Arm under qemu: no code may differ from the interpreter's. (executors.py runs its program with
all shared networks.)"""
import os, re, subprocess
from common import Tally, folder, source
from machines import AARCH64, ARMHF

SCRIPT = os.path.join(source, "examples", "linux-arm", "run.sh")
t = Tally()
for arch, machine in ("aarch64", AARCH64), ("armhf", ARMHF):
    machine.need()
    p = subprocess.run(["sh", SCRIPT, "--arch", arch, "--out", folder(arch)], capture_output=True, text=True)
    got = dict(re.findall(r"(inputs|differing codes): (\d+)", p.stdout))
    t.check(p.returncode == 0 and got == {"inputs": "16", "differing codes": "0"}, f"{arch}: exit {p.returncode}\n{p.stdout}{p.stderr}")
p = subprocess.run(["sh", SCRIPT, "--arch", "vax"], capture_output=True, text=True)
t.check(p.returncode == 64 and "no architecture vax" in p.stderr, f"vax: exit {p.returncode}\n{p.stderr}")
t.close()
