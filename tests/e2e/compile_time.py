#!/usr/bin/env python3
"""What MobileNetV1 for images of 224x224 costs to compile by way of C: bytes of C, lines of each depthwise layer, which are counted and
limited; and seconds of octavo and of its C compiler, which are printed alone (they should stay below 3 together)."""
import os, re, resource, shutil, subprocess, sys
from common import out, run

MOST_BYTES = 500_000  # without weights
MOST_LINES = 550      # of a depthwise layer


def model():
    """Its layers with random codes for weights."""
    lines, c, size, n = ["octavo 1", "input x0 : i8[1,3,224,224] scale=0.03 zero=-3"], 3, 224, 0

    def conv(co, k, stride, groups=1):
        nonlocal c, size, n
        fan, size = c // groups * k * k, size // stride
        lines.append(f"const @w{n} : i8[{co},{c // groups},{k},{k}] scale={0.03 / fan ** 0.5:.8f} = random seed={n + 1}")
        lines.append(f"x{n + 1} : i8 scale=0.03 zero=-128 = conv2d(x{n}, @w{n}) pad={k // 2} stride={stride} groups={groups}")
        c, n = co, n + 1

    conv(32, 3, 2)
    for co, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        conv(c, 3, stride, c)
        conv(co, 1, 1)
    lines += [f"m : i8 scale=0.03 zero=-128 = mean(x{n}) axes=(2,3)", f"const @w{n} : i8[1000,1024] scale=0.001 = random seed=99",
              f"y : i8 scale=0.05 zero=3 = dense(m, @w{n})", "output y"]
    return "\n".join(lines) + "\n"


def seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


os.makedirs(out, exist_ok=True)
path = os.path.join(out, "net")
with open(path + ".8vo", "w") as f:
    f.write(model())
start = seconds()
run("compile", path + ".8vo", "--target", "x86-64-v3", "-o", path)
compiled = seconds()
cc = shutil.which("gcc")
if cc:
    subprocess.run([cc, "-O2", "-c", path + ".c", "-o", path + ".o"], check=True)
text = open(path + ".c").read()
layers = [(name, body.count("\n")) for name, body in re.findall(r"^OCT_LAYER static void (\w+)\((.*?)^}", text, re.M | re.S)]
depthwise = [lines for name, lines in layers if name.startswith("depthwise_vec")]
print(f"{len(text)} bytes of C, most of {MOST_BYTES}; depthwise layers of {depthwise} lines, most {MOST_LINES}; "
      f"octavo {compiled - start:.2f} s, {cc} -O2 {seconds() - compiled:.2f} s")
sys.exit(not (len(depthwise) >= 9 and len(text) <= MOST_BYTES and max(depthwise) <= MOST_LINES))
