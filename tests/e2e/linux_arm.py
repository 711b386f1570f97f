#!/usr/bin/env python3
"""The Linux example for 64-bit and 32-bit Arm under qemu: digits, and the shared networks where they are; no code may differ from the
interpreter's, and a program in which one expected code is flipped says so."""
import os, re, shutil, subprocess, sys
import common
from common import Tally, data, folder, model, read, shared, source

SCRIPT = os.path.join(source, "examples", "linux-arm", "run.sh")
t = Tally()
for program in "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "qemu-aarch64", "qemu-arm":
    if not shutil.which(program):
        sys.exit(f"{program} is missing: scripts/setup.sh --tests")
nets = {"digits": []}
if os.path.isdir(os.path.join(shared, "models")):
    nets |= {name: [model(name), data(cal), data(test)] for name, (cal, test, _) in common.FLOAT_MODELS.items()}
print("| network | architecture | inputs | differing codes |\n|---|---|---|---|")
for name, args in nets.items():
    for arch in "aarch64", "armhf":
        p = subprocess.run(["sh", SCRIPT, "--arch", arch, "--out", folder(f"{arch}-{name}"), *args], capture_output=True, text=True)
        got = dict(re.findall(r"(inputs|differing codes): (\d+)", p.stdout))
        if t.check(p.returncode == 0 and got == {"inputs": "16", "differing codes": "0"},
                   f"{name} on {arch}: exit {p.returncode}\n{p.stdout}{p.stderr}"):
            print(f"| {name} | {arch} | {got['inputs']} | {got['differing codes']} |", flush=True)

out = folder("aarch64-digits")
elf, codes = bytearray(read(f"{out}/program")), read(f"{out}/codes.bin")
elf[elf.index(codes)] ^= 1
with open(f"{out}/flipped", "wb") as f:
    f.write(elf)
os.chmod(f"{out}/flipped", 0o755)
p = subprocess.run(["qemu-aarch64", f"{out}/flipped"], capture_output=True, text=True)
t.check(p.returncode == 1 and "differing codes: 1\n" in p.stdout, f"flipped: exit {p.returncode}\n{p.stdout}{p.stderr}")
t.close()
