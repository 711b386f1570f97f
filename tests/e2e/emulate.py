#!/usr/bin/env python3
"""octavo bench --emulate: instructions of the digits network by layer, on every machine that octavo drives an emulator of; the very
run's outputs are the interpreter's. A second counter (../shared/tools/qemu-icount, where it is there) counts the same. A wrong
weight, a missing emulator and targets without one are told apart by exit code. A missing compiler or emulator fails the test."""
import os, re, shutil, subprocess, sys
from common import Tally, folder, octavo, out, read, run, run_json, shared, source

TARGETS = ["cortex-m4", "cortex-m7", "cortex-m55", "aarch64", "armv7"]
digits = os.path.join(source, "examples", "digits", "digits")
q = os.path.join(folder("emulate"), "q.8vo")
gcc = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard"
t = Tally()


def exit_of(*args, **env):
    p = subprocess.run([octavo, "bench", *args], capture_output=True, text=True, env={**os.environ, **env})
    return p.returncode, p.stdout + p.stderr


run("quantize", digits + ".8vo", "--data", digits + "_cal.npy", "-o", q)
run("compile", q, "--target", "cortex-m4", "-o", os.path.join(folder("emulate"), "m"))
counted = {}
for target in TARGETS:
    r = run_json("bench", q, "--target", target, "--emulate", "--data", digits + "_test.npy")
    layers = r["layers"]
    counted[target] = r["instructions"]
    t.check(r["differing"] == 0, f"{target}: {r['differing']} outputs differ")
    t.check(all(l["instructions"] > 0 for l in layers), f"{target}: a layer without instructions: {layers}")
    t.check(0 <= r["instructions"] - sum(l["instructions"] for l in layers) < 100, f"{target}: layers do not add up to {r['instructions']}")
    t.check(r["macs"] == sum(l["macs"] for l in layers) > 0, f"{target}: {r['macs']} MACs")
    again = run_json("bench", q, "--target", target, "--emulate", "--data", digits + "_test.npy")
    t.check(again == r, f"{target}: counts differ from run to run")
    print(f"{target}: {r['instructions']:,} instructions, {r['macs'] / r['instructions']:.2f} MACs an instruction")
text = run("bench", q, "--target", "cortex-m4", "--emulate", "--cc", gcc)
t.check(re.search(r"^\d+ instructions, \d+ MACs", text) and not re.search(r"\b(ns|us|ms|seconds?|time)\b", text), f"it speaks of time: {text}")

# Another counter, on an image of its own of the same object.
if os.path.isdir(os.path.join(shared, "tools", "qemu-icount")):
    to = folder("emulate-an386")
    subprocess.run(["sh", os.path.join(source, "examples", "cortex-m", "run.sh"), "--board", "an386", "--samples", "1", "--llvm", "--out", to],
                   check=True, capture_output=True)
    other = [int(l.split("\t")[3]) for l in read(f"{to}/counts.tsv").decode().splitlines() if l.startswith("mark\tinference_done")]
    # The marks of the two differ by what main executes between them.
    t.check(len(other) == 1 and abs(other[0] - counted["cortex-m4"]) <= 4, f"{counted['cortex-m4']} instructions, by another counter {other}")

# A compiler that changes one bias: outputs differ, exit 1.
cc = os.path.join(folder("emulate"), "cc")
with open(cc, "w") as f:
    f.write("#!/usr/bin/env python3\nimport os, re, sys\n"
            "if 'm.c' in sys.argv:\n"
            "    s = open('m.c').read()\n"
            "    open('m.c', 'w').write(re.sub(r'(= \\{ /\\* params \\*/\\s+)-?\\d+', r'\\g<1>2000000', s, count=1))\n"
            "os.execvp('arm-none-eabi-gcc', ['arm-none-eabi-gcc', *sys.argv[1:]])\n")
os.chmod(cc, 0o755)
code, said = exit_of(q, "--target", "cortex-m4", "--emulate", "--cc", cc + gcc[len("arm-none-eabi-gcc"):])
t.check(code == 1 and not re.search(r"interpreter's: 0\b", said), f"one bias changed: exit {code}\n{said}")

tools = folder("emulate-tools")
for program in "cc", "arm-none-eabi-gcc", "as", "ld":
    if not os.path.exists(os.path.join(tools, program)):
        os.symlink(shutil.which(program), os.path.join(tools, program))
for args, want, part, env in [
    ((q, "--emulate"), 64, "wants a --target", {}),
    ((q, "--target", "cortex-m4"), 64, "--target is for --emulate", {}),
    ((q, "--target", "x86-64-v3", "--emulate"), 69, "drives no emulator of target 'x86-64-v3'", {}),
    ((q, "--target", "cortex-m4", "--emulate"), 69, "'qemu-system-arm' is not there", {"PATH": tools}),
    ((q, "--target", "cortex-m4", "--emulate", "--cc", "no-such-gcc"), 69, "'no-such-gcc' is not there", {}),
]:
    code, said = exit_of(*args, **env)
    t.check(code == want and part in said, f"{args}: exit {code}\n{said}")
t.close()
