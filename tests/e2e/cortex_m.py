#!/usr/bin/env python3
"""The firmware example on the boards, by gcc and by LLVM: digits, and the shared networks where they are and fit, 16 inputs each. No code may
differ from the interpreter's; the figures that the board prints are those of the linked ELF and of the report, and the stack that the
report promises is enough. Prints a table of it all. A missing compiler or emulator is a failure: scripts/setup.sh --tests installs them."""
import os, re, shutil, subprocess, sys
import common
from common import Tally, data, folder, model, read, shared, source

SCRIPT = os.path.join(source, "examples", "cortex-m", "run.sh")
BOARDS = {"microbit": "cortex-m0plus", "an386": "cortex-m4", "an500": "cortex-m7", "an547": "cortex-m55"}
MODELS = {"ad": "ad_autoencoder", "kws": "kws_dscnn", "ic": "ic_resnet8", "vww": "vww_mobilenetv1_025_96"}
COMPILERS = ["gcc"] + ["llvm"] * os.path.exists(os.path.join(os.path.dirname(common.octavo), "liboctavo_llvm.so"))
CALLS = {"memcpy", "memset"}  # all that the network's object may want of others, but for conversions without an FPU
t = Tally()


def tool(*args):
    return subprocess.run(["arm-none-eabi-" + args[0], *args[1:]], capture_output=True, text=True, check=True).stdout


def boot(board, out, args):
    p = subprocess.run(["sh", SCRIPT, "--board", board, "--out", out, *args], capture_output=True, text=True)
    if not t.check(p.returncode == 0, f"{board} {args}: exit {p.returncode}\n{p.stdout}{p.stderr}"):
        return None
    return {k: int(v) for k, v in re.findall(r"(inputs|differing codes|flash|text|constants|arena|painted stack|at most):? (\d+)", p.stdout)}


def sections(path):
    """Bytes of each section, by name; an object has one of a name only."""
    rows = [line.split() for line in tool("size", "-A", path).splitlines()]
    return {r[0]: int(r[1]) for r in rows if len(r) == 3 and r[0].startswith(".")}


def placed(path):
    """Bytes of text and of constants that the linker took from net.o, and the names of the sections that it dropped."""
    text = read(path).decode()
    taken, dropped = {".text": 0, ".rodata": 0}, []
    for m in re.finditer(r"^ (\.(?:text|rodata)\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) \S*/net\.o$", text, re.M):
        kind, size = m[1][:5 + 2 * (m[1][1] == "r")], int(m[3], 16)
        if m.start() < text.index("Memory Configuration"):
            dropped += [m[1]] if size else []
        else:
            taken[kind] += size
    return taken, dropped


def check(name, board, args, by):
    cpu, out = BOARDS[board], folder(f"{board}-{name}-{by}")
    got = boot(board, out, (["--llvm"] if by == "llvm" else []) + args)
    if not got:
        return
    what = f"{name} on {cpu} by {by}:"
    report = common.json.loads(read(f"{out}/net.json"))
    image, net = sections(f"{out}/image.elf"), sections(f"{out}/net.o")
    kind = lambda prefix: {s: n for s, n in net.items() if s == prefix or s.startswith(prefix + ".")}
    t.check(got["inputs"] == 16 and got["differing codes"] == 0, f"{what} {got['differing codes']} codes differ")

    # Flash: the report is the object's sections, and the image holds those, but what nobody calls and padding between them.
    text, constants = sum(kind(".text").values()), sum(kind(".rodata").values())
    t.check(report["text_bytes"] == text and report["rodata_bytes"] == constants,
            f"{what} text and constants {text} + {constants}, report {report['text_bytes']} + {report['rodata_bytes']}")
    functions = sum(f["text_bytes"] for f in report["functions"])
    t.check(functions == text if by == "llvm" else 0 <= text - functions < 64 * len(report["functions"]), f"{what} functions {functions}, text {text}")
    taken, dropped = placed(f"{out}/image.map")
    t.check(all("dequantize" in s for s in dropped) and bool(dropped) == (by == "llvm"), f"{what} the linker dropped {dropped}")
    gone = sum(net[s] for s in dropped)
    t.check(taken[".text"] + taken[".rodata"] + gone == text + constants, f"{what} placed {taken} and dropped {gone} of {text} + {constants}")
    for part, placed_bytes in ("text", taken[".text"]), ("constants", taken[".rodata"]):  # sections are aligned to 16 at most
        t.check(0 <= got[part] - placed_bytes < 16 * len(net), f"{what} {part} {got[part]}, placed {placed_bytes}")
    t.check(got["flash"] == image[".network"] == got["text"] + got["constants"], f"{what} flash {got['flash']}, linked {image['.network']}")
    weights = report["weight_bytes"]  # of which compilers leave out the few bytes that they know where they are used
    t.check(0.99 * weights <= constants <= weights + 16 * len(net), f"{what} constants {constants}, weights {weights}")
    t.check(not sum(kind(".data").values()) and not sum(kind(".bss").values()), f"{what} the network has variables")

    arena = int(re.search(r"^\w+ (\w+) B arena$", tool("nm", "-S", f"{out}/image.elf"), re.M)[1], 16)
    t.check(got["arena"] == arena == report["arena_bytes"], f"{what} arena {got['arena']}, linked {arena}, report {report['arena_bytes']}")
    soft = board == "microbit"
    wants = {w for w in tool("nm", "-u", f"{out}/net.o").split() if not (soft and re.match("__aeabi_(f|ui2f|i2f)", w))} - {"U"}
    t.check(wants <= CALLS, f"{what} the object calls {wants - CALLS}")
    abi = subprocess.run(["arm-none-eabi-readelf", "-A", f"{out}/net.o"], capture_output=True, text=True, check=True).stdout
    t.check(("Tag_ABI_VFP_args: VFP registers" in abi) != soft, f"{what} the float ABI is not the board's")
    stack = report["stack_bytes"]
    t.check(0 < got["painted stack"] <= stack <= 2 * got["painted stack"], f"{what} painted stack {got['painted stack']}, report {stack}")
    counted = f"{got['at most']:,}" if "at most" in got else "not counted"
    if os.path.isdir(os.path.join(shared, "tools", "qemu-icount")):
        t.check(got.get("at most", 0) > report["macs"] / 8, f"{what} {counted} instructions for {report['macs']} MACs")
    print(f"| {name} | {board}, {cpu} | {by} | {got['inputs']} | {got['differing codes']} | {counted} | {got['flash']:,} | {got['text']:,} "
          f"| {got['arena']:,} | {got['painted stack']} | {stack} |", flush=True)


for program in "arm-none-eabi-gcc", "qemu-system-arm":
    if not shutil.which(program):
        sys.exit(f"{program} is missing: scripts/setup.sh --tests")
nets = {"digits": []}
if os.path.isdir(os.path.join(shared, "models")):
    for name, file in MODELS.items():
        cal, test, _ = common.FLOAT_MODELS[file]
        nets[name] = [model(file), data(cal), data(test)]
print("| network | board | compiled by | inputs | differing codes | instructions per inference | flash | of it text | arena | painted stack | reported |")
print("|---|---|---|---|---|---|---|---|---|---|---|")
for name, args in nets.items():
    for board in BOARDS if name == "digits" else [b for b in BOARDS if b != "microbit"]: # 256 KB of flash, 16 of RAM
        for by in COMPILERS:
            check(name, board, args, by)

# The comparison on the board notices one code: the same image with one expected code flipped.
out = folder("an386-digits-gcc")
elf, codes = bytearray(read(f"{out}/image.elf")), read(f"{out}/codes.bin")
at = elf.find(codes)
if t.check(at > 0, "the codes are not in the image"):
    elf[at + len(codes) - 1] ^= 1
    with open(f"{out}/flipped.elf", "wb") as f:
        f.write(elf)
    p = subprocess.run(["timeout", "60", "qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-semihosting", "-kernel", f"{out}/flipped.elf"],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL)
    t.check(p.returncode == 1 and "differing codes: 1\n" in p.stdout + p.stderr, f"flipped: exit {p.returncode}\n{p.stdout}{p.stderr}")
p = subprocess.run(["sh", SCRIPT, "--board", "an999"], capture_output=True, text=True)
t.check(p.returncode == 64 and "no board an999" in p.stderr, f"an999: exit {p.returncode}\n{p.stderr}")
t.close()
