#!/usr/bin/env python3
"""Certificates: the same bytes again and accepted again, for C, objects and libraries of this machine, objects of aarch64 that run under
qemu, and of a Cortex-M that do not run; refused after one flipped weight, one flipped instruction byte (by digest, and by outputs where
the digests were forged), another rounding profile, other data, changed files. Damaged and hostile certificates are exit 65. What does
not compute what the interpreter computes is not certified, and leaves nothing behind."""
import random, re, shutil
import common
from common import *

DIGITS = os.path.join(source, "examples", "digits")
CAL, TEST = os.path.join(DIGITS, "digits_cal.npy"), os.path.join(DIGITS, "digits_test.npy")
t = Tally()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def check(cert, net, *more, expect=0):
    return run("check", "--certificate", cert, net, *more, expect=expect)


def refused(what, saying, cert, net, *more):
    """The first item that does not hold, which is the last one told."""
    lines = check(cert, net, *more, expect=1).splitlines()
    t.check(lines[-1].endswith(": does not hold") and "FAILED" in lines[-2] and re.search(saying, lines[-2]), f"{what}: {lines[-2:]}")
    return lines[-2]


def rewritten(d, name, text=None):
    """A copy of a quantized model in a folder of its own; its weights file may be changed afterwards."""
    to = folder(d)
    original = read(name).decode() if text is None else text
    shutil.copy(name.replace(".8vo", ".safetensors"), to)
    return write(os.path.join(to, os.path.basename(name)), re.sub(r' xxh3=\w+', "", original, count=1).encode())


def signer():
    """XXH3-128 as the certificate writes it, from the library itself: what a forger would use."""
    d = folder("signer")
    c = write(os.path.join(d, "sign.c"), b"""#define XXH_INLINE_ALL
#include <stdio.h>
#include <xxhash.h>
static char b[1 << 24];
int main(void) { XXH128_hash_t h = XXH3_128bits(b, fread(b, 1, sizeof b, stdin));
    printf("%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64); return 0; }
""")
    exe = os.path.join(d, "sign")
    subprocess.run(["cc", "-O1", c, "-o", exe], check=True)
    return lambda data: subprocess.run([exe], input=data, capture_output=True, check=True).stdout


digest = signer()


def signed(body):
    return body + b"end " + digest(body) + b"\n"


def body(cert):
    return read(cert)[:-37]  # without "end DIGEST"


# ---- accepted --------------------------------------------------------------------------------------------------------------------

def accepted(net):
    """Every form of output; the certificate is reproducible and says honestly what ran."""
    here, arm = "on this machine", "by qemu-aarch64"
    forms = {"c": ([], ["net.c"], here), "llvm-obj": (["--emit", "obj"], ["net.o"], here), "cc-obj": (["--emit", "obj", "--cc", "gcc"], ["net.o"], here),
             "lib": (["--emit", "lib"], ["net.a"], here), "asm": (["--emit", "asm"], ["net.s"], here), "ir": (["--emit", "llvm"], ["net.ll"], "no: "),
             "aarch64": (["--emit", "obj", "--target", "aarch64"], ["net.o"], arm), "m4": (["--emit", "obj", "--target", "cortex-m4"], ["net.o"], "no: "),
             "incbin": (["--weights", "incbin"], ["net.c", "net.weights.bin", "net.weights.S"], here),
             "nhwc": (["--emit", "obj", "--io-layout", "nhwc", "--batch", "3", "--self-test"], ["net.o"], here)}
    for form, (args, files, ran) in forms.items():
        one, two = folder("accepted", form, "1"), folder("accepted", form, "2")
        for d in one, two:
            run("compile", net, *args, "--certify", "-o", os.path.join(d, "net"))
        cert = read(f"{one}/net.cert").decode()
        t.check(cert == read(f"{two}/net.cert").decode(), f"{form}: another certificate the second time")
        executed = re.search(r"^executed (.*)$", cert, re.M)[1]
        t.check(ran in executed and (ran != here or f"{files[0]}, 20 vectors" in executed), f"{form}: executed: {executed}")
        for f in files + ["net.h", "net.json"]:
            t.check(f" {f}\n" in cert, f"{form}: {f} is not in the certificate")
        built = ["--cc", "gcc"] if "--cc" in args else []
        told = check(f"{one}/net.cert", net, *built)
        t.check("FAILED" not in told and told.endswith("net.cert: holds\n") and "compiled again: holds" in told, f"{form}: {told}")
        t.check(("outputs: holds: " in told) == (ran != "no: "), f"{form}: outputs: {told}")
        t.check(all(f"{f}: holds" in told for f in files), f"{form}: files: {told}")
        moved = shutil.copy(f"{one}/{files[0]}", folder("moved", form))
        t.check(f"{moved}: holds" in check(f"{one}/net.cert", net, moved, *built), f"{form}: the file named on the command line")
    cert = f"{folder('accepted', 'cc-obj', '1')}/net.cert"
    t.check("compiled again: not checked" in check(cert, net), "another toolchain is told")
    lone = shutil.copy(cert, folder("lone"))
    told = check(lone, net, "--cc", "gcc")
    t.check("net.o: not checked: it is not beside the certificate" in told and "compiled again" in told, f"a certificate alone: {told}")
    items = json.loads(check(cert, net, "--json"))
    t.check(items["verdict"] == "holds" and {"layer probs", "net.o", "outputs"} <= {i["item"] for i in items["items"]}, "--json")


def with_data(net):
    d = folder("data")
    cert = f"{d}/net.cert"
    few = head(TEST, f"{d}/few.npy", 9)
    run("compile", net, "--data", few, "--certify", "-o", f"{d}/net")
    t.check(re.search(r"^data 9 \w{32}$", read(cert).decode(), re.M) and "29 vectors" in read(cert).decode(), "data are certified")
    t.check("data: holds" in check(cert, net, "--data", few), "with the data")
    t.check("data: not checked" in check(cert, net), "without the data")
    refused("other data", "^data: ", cert, net, "--data", head(CAL, f"{d}/other.npy", 9))
    # From the float model, all at once, and checked with the quantized one that the same data give.
    run("compile", f"{DIGITS}/digits.8vo", "--data", CAL, "--certify", "--emit", "obj", "-o", f"{d}/once/net")
    t.check("outputs: holds" in check(f"{d}/once/net.cert", f"{DIGITS}/digits.8vo", "--data", CAL), "from the float model")
    t.check("outputs: holds" in check(f"{d}/once/net.cert", net, "--data", CAL), "the quantized model has the same certificate")
    run("compile", net, "--io", "float", "--certify", "-o", f"{d}/float/net")  # quantize and dequantize are exact
    run("compile", f"{DIGITS}/digits.8vo", "--certify", "-o", f"{d}/no/net", expect=69)
    run("compile", f"{DIGITS}/digits.8vo", "--certify", "--strict-float", "-o", f"{d}/strict/net")
    t.check("outputs: holds" in check(f"{d}/strict/net.cert", f"{DIGITS}/digits.8vo"), "strict float")


# ---- refused ------------------------------------------------------------------------------------------------------------------------

def flipped_weight(net, cert):
    other = rewritten("weight", net)
    file = other.replace(".8vo", ".safetensors")
    raw = bytearray(read(file))
    header = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])
    begin, end = header["c4.w"]["data_offsets"] if "c4.w" in header else next(v["data_offsets"] for k, v in header.items() if k.startswith("c4.w"))
    check(cert, other)  # the copy itself is the same model
    raw[8 + struct.unpack("<Q", raw[:8])[0] + (begin + end) // 2] ^= 1
    write(file, raw)
    told = refused("one flipped weight", "^layer .*: FAILED: its weights", cert, other)
    wanted = re.search(r"^(\w+) .*= conv2d\(\w+, @c4\.w", read(net).decode(), re.M)
    t.check(wanted and told.startswith(f"layer {wanted[1]}:"), f"it names the layer of c4.w: {told}")


def other_profile(cert):
    other = os.path.join(folder("profile"), "net.8vo")
    run("quantize", f"{DIGITS}/digits.8vo", "--data", CAL, "--profile", "tflm", "-o", other)
    refused("another profile", "^profiles: FAILED: .*'q31'.*'tflm'", cert, other)
    other = rewritten("profile2", net, read(net).decode().replace("profile=q31", "profile=tflm"))
    refused("another profile in the text", "^profiles: ", cert, other)


def instruction(path):
    """Where an addition stands in a kernel that sums: place in the file of its opcode, and that of the subtraction."""
    listing = subprocess.run(["objdump", "-dw", path], capture_output=True, text=True, check=True).stdout
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    at = {m[1]: int(m[2], 16) for m in re.finditer(r"\] (\S+)\s+PROGBITS\s+\w+ (\w+) ", sections)}
    section = name = None
    for line in listing.splitlines():
        if m := re.match(r"Disassembly of section (\S+):", line):
            section = m[1]
        elif m := re.match(r"\w+ <(\w+)>:", line):
            name = m[1]
        elif name and re.match("conv2d|winograd|strassen|dense", name):
            if m := re.match(r"\s*(\w+):\t01 \w\w\s+add ", line):
                return at[section] + int(m[1], 16), 0x29
            if m := re.match(r"\s*(\w+):\t((?:c5 \w\w|c4 \w\w \w\w) )fe .*vpaddd ", line):
                return at[section] + int(m[1], 16) + len(m[2]) // 3, 0xfa
    sys.exit("no addition in the object")


def flipped_instruction(net):
    d = folder("instruction")
    run("compile", net, "--emit", "obj", "--certify", "-o", f"{d}/net")
    cert, original = f"{d}/net.cert", read(f"{d}/net.o")
    place, subtract = instruction(f"{d}/net.o")
    raw = bytearray(original)
    raw[place] = subtract
    bad = write(f"{d}/bad.o", raw)
    told = refused("one flipped instruction byte", r"bad\.o: FAILED: its code was changed", cert, net, bad)
    write(f"{d}/net.o", raw)
    refused("beside the certificate", r"net\.o: FAILED: its code was changed", cert, net)
    # A forger who sets the digests right is found out by the outputs, and by compiling again.
    new = re.search(r"digest (\w+), code (\w+)", told)
    forged = body(cert)
    for was, now in zip(re.search(rb"file (\w+) net.o\n  code (\w+)\n", forged).groups(), new.groups()):
        forged = forged.replace(was, now.encode())
    write(cert, signed(forged))
    refused("forged digests", "^compiled again, net.o: FAILED", cert, net)
    write(cert, signed(forged.replace(b"toolchain LLVM", b"toolchain another LLVM")))
    refused("forged digests of an unknown toolchain", "^outputs: FAILED: (output '|the program around it)", cert, net)
    # Bytes that are no code.
    write(cert, signed(body(cert)))
    raw = bytearray(original)
    raw[-1] ^= 1
    run("compile", net, "--emit", "obj", "--certify", "-o", f"{d}/net")
    refused("a byte behind the code", "changed, but not its code", cert, net, write(f"{d}/bad.o", raw))
    refused("no object at all", "its code was changed", cert, net, write(f"{d}/bad.o", b"\x7fELF"))
    for name in "net.h", "net.json":
        was = read(f"{d}/{name}")
        write(f"{d}/{name}", was + b" ")
        refused(f"changed {name}", f"^{name}: FAILED", cert, net)
        write(f"{d}/{name}", was)
    check(cert, net)


def other_models(net, cert):
    text = read(net).decode()
    refused("another clip", "^layer ", cert, rewritten("clip", net, text.replace(" pad=(1,1,1,1) profile", " pad=(1,1,1,1) clip=(-128,90) profile", 1)))
    refused("another name", "^model: |^model text", cert, rewritten("name", net, text.replace("model digits", "model digit", 1)))


# ---- hostile certificates ----------------------------------------------------------------------------------------------------------------

def damaged(net, cert):
    d = folder("damaged")
    good, to = read(cert), f"{d}/net.cert"
    r = random.Random(1)
    cases = [b"", b"\n", b"octavo certificate 1", b"octavo certificate 1\n", b"octavo certificate 2\n" + good[21:], b"\0" * 100, bytes(range(256)) * 40,
             b"end " + b"0" * 32 + b"\n", good + b"\n", good * 2, good.replace(b"\n", b"\r\n"), good[:-1], good.replace(b"random", b"rand\0m", 1)]
    cases += [good[:r.randrange(len(good))] for _ in range(12)]
    for _ in range(12):
        flipped = bytearray(good)
        flipped[r.randrange(len(good))] ^= 1 << r.randrange(8)
        cases.append(bytes(flipped))
    text = body(cert)
    lines = text.splitlines(keepends=True)
    first_layer = next(i for i, l in enumerate(lines) if l.startswith(b"layer"))
    cases += [signed(b) for b in (  # the digest is right, the rest is not
        b"octavo certificate 1\n", text + b"rubbish\n", text + b"  code 00\n", text + b"layer\n", text + b"layer x\n", text + b"file \n", text + b"option --cc sh\n",
        text.replace(b"seed 1\n", b"seed 1\nseed 1\n"), b"".join(lines[:3] + lines[4:]), b"".join([lines[0], lines[2], lines[1], *lines[3:]]),
        text.replace(lines[first_layer + 1], lines[first_layer + 1] * 2, 1), text.replace(b"  min", b"   min", 1), b"octavo certificate 1\n" + b"x" * 100000 + b"\n",
        text.replace(b"name net\n", b"name ../net\n"), text.replace(b"name net\n", b"name \n"), text.replace(b"--emit obj", b"--emit exe"),
        text.replace(b"--emit obj\n", b"--emit obj\noption --batch -1\n"), b"".join(lines) + b"layer relu x\n" * 50000 + b"\xff\xfe\n")]
    for i, case in enumerate(cases):
        begun = time.time()
        p = subprocess.run([octavo, "check", "--certificate", write(to, case), net], capture_output=True)
        t.check(p.returncode == 65 and b"E4021" in p.stderr and not p.stdout and len(p.stderr) < 200000 and time.time() - begun < 10,
                f"damaged {i} {case[:60]!r}: exit {p.returncode}: {p.stderr[-300:]}")
    # Files that are no files of its own.
    write(to, signed(text.replace(b" net.h\n", b" net.h/../../secret\n")))
    t.check("compile makes no such file" in check(to, net, expect=1), "a file name that leads elsewhere")
    write(to, good)
    os.symlink(os.path.join(os.path.dirname(cert), "net.h"), f"{d}/net.h")
    p = subprocess.run([octavo, "check", "--certificate", to, net], capture_output=True)
    t.check(p.returncode == 65 and b"E4006" in p.stderr, f"a symlink beside the certificate: exit {p.returncode}")
    check(f"{d}/missing.cert", net, expect=66)
    check(d, net, expect=66)
    # Misuse.
    run("check", net, cert, expect=64)
    run("compile", net, "--certify", "-o", "-", expect=64)
    run("compile", net, "--certify", "--emit", "obj", "--debug", "-o", f"{d}/net", expect=64)
    # Objects that end anywhere, with tables that lead anywhere.
    built = read(os.path.join(os.path.dirname(cert), "net.o"))
    for _ in range(12):
        bad = bytearray(built[:r.choice([len(built), r.randrange(len(built))])])
        for at in r.sample(range(64), 4):
            if at < len(bad):
                bad[at] ^= r.choice([0xff, 0x80, 1])
        t.check("digest" in check(cert, net, write(f"{d}/bad.o", bad), expect=1), "a broken object")


def not_certified(net):
    """A compiler that gets one weight wrong."""
    d = folder("liar")
    cc = write(f"{d}/cc", b"""#!/bin/sh
for x; do case $x in *net.c) sed -i '0,/^    -\\?[0-9]/s/^    \\(-\\?\\)\\([0-9]\\)/    \\15\\2/' "$x";; esac; done
exec gcc -w "$@"
""")
    os.chmod(cc, 0o755)
    out = f"{d}/out/net"
    for emit in "obj", "lib", "c":
        p = subprocess.run([octavo, "compile", net, "--certify", "--target", "c99", "--emit", emit, "--cc", cc, "-o", out], capture_output=True, text=True)
        t.check(p.returncode == 1 and "output 'probs' is not the interpreter's on vector '" in p.stderr and not os.path.exists(os.path.dirname(out)),
                f"a wrong compiler, --emit {emit}: exit {p.returncode}: {p.stderr[-300:]}")
    run("compile", net, "--emit", "obj", "--cc", cc, "-o", out)  # which nobody notices without


net = os.path.join(folder("model"), "net.8vo")
run("quantize", f"{DIGITS}/digits.8vo", "--data", CAL, "-o", net)
accepted(net)
with_data(net)
cert = f"{folder('accepted', 'llvm-obj', '1')}/net.cert"
flipped_weight(net, cert)
other_profile(cert)
flipped_instruction(net)
other_models(net, cert)
damaged(net, cert)
not_certified(net)
several = write(os.path.join(folder("several"), "several.8vo"), b"""octavo 1
model several
input a : i8[N,4,5,6] scale=0.1 zero=-7
input b : i8[N,4,5,6] scale=0.2 zero=9
input c : f32[N,3]
input d : u8[N,3] scale=0.5 zero=128
s : i8[N,4,5,6] scale=0.25 zero=1 = add(a, b) profile=tflm
m : i8[N,4,6,5] scale=0.25 zero=1 = transpose(s) perm=(0,1,3,2)
q : i8[N,3] scale=0.01 zero=4 = quantize(c)
k : i8[N,3] scale=0.02 zero=5 = requantize(d) profile=q31
l : i8[N,3] scale=0.03 zero=0 = add(q, k) profile=q31
output m
output l
output s
""")
for io in "int8", "float":
    d = folder("several", io)
    run("compile", several, "--io", io, "--batch", "2", "--io-layout", "nhwc", "--certify", "-o", f"{d}/net")
    t.check("profiles tflm q31\n" in read(f"{d}/net.cert").decode(), "two profiles in one model")
    t.check("outputs: holds" in check(f"{d}/net.cert", several, "--io", io), f"several inputs and outputs, --io {io}")
d = folder("threads")
run("compile", net, "--emit", "obj", "--threads", "3", "--certify", "-o", f"{d}/net")
t.check("compiled again: holds" in check(f"{d}/net.cert", net), "an object for threads")
if os.path.isdir(os.path.join(shared, "models")):
    for name, runs in ("kws_dscnn", 84), ("sww_streaming", 65):
        d = folder(name)
        cal = data(common.FLOAT_MODELS[name][0])
        run("compile", model(name), "--data", cal, "--emit", "obj", "--certify", "-o", f"{d}/net")
        t.check(f"{runs} vectors" in read(f"{d}/net.cert").decode(), f"{name}: {runs} vectors")
        t.check("outputs: holds" in check(f"{d}/net.cert", model(name), "--data", cal), f"{name}: accepted")
t.close()
