#!/usr/bin/env python3
"""compile --debug: line info of objects points into the model's text, each function at the value that it makes and each call of NAME_run
at its layer's; it changes no instruction. Without it, no byte depends on where anything lies."""
import re, shutil
from common import *

t = Tally()
if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
    print("built without the LLVM back end")
    sys.exit(1 if os.environ.get("CI") else 77)
DIGITS = os.path.join(source, "examples", "digits", "digits")
d = folder("m")
q = os.path.join(d, "q.8vo")
run("quantize", DIGITS + ".8vo", "--data", DIGITS + "_cal.npy", "-o", q)
text = read(q).decode().splitlines()


def tool(*args):
    p = subprocess.run(args, capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(args)}: {p.stderr[:2000]}")
    return p.stdout


def defined(line):
    """The value that a line of the model defines."""
    m = re.match(r"(?:input )?(\w[\w.]*)", text[line - 1]) if line else None
    return m and m[1]


def without_repeats(numbers):
    got = []
    for n in numbers:
        got += [n] if got[-1:] != [n] else []
    return got


def one(target, prefix):
    """Functions and lines of an object with line info, whose code is that of the one without."""
    for name, flags in ("plain", []), ("debug", ["--debug"]):
        run("compile", "q.8vo", "--target", target, "--emit", "obj", *flags, "-o", f"{target}/{name}", cwd=d)
    plain, debug = f"{d}/{target}/plain.o", f"{d}/{target}/debug.o"
    t.check(b".debug_line" not in read(plain) and b"q.8vo" not in read(plain), f"{target}: line info that nobody asked for")
    code = [{k: v for k, v in json.loads(read(f"{d}/{target}/{n}.json")).items() if k != "functions"} for n in ("plain", "debug")]
    t.check(code[0] == code[1], f"{target}: line info changes the code's size")
    sections = [r.split()[0] for r in tool(prefix + "size", "-A", plain).splitlines() if r.startswith((".text", ".rodata"))]
    for s in sections:
        got = []
        for o in plain, debug:
            renamed = s.replace("plain_", "debug_") if o == debug else s
            tool(prefix + "objcopy", "-O", "binary", "-j", renamed, o, f"{d}/section")
            got.append(read(f"{d}/section"))
        t.check(got[0] == got[1], f"{target}: line info changes {s}")

    dump = tool("llvm-dwarfdump-19", "--debug-info", debug)
    t.check(f'DW_AT_name\t("q.8vo")' in dump and f'DW_AT_comp_dir\t("{os.path.realpath(d)}")' in dump, f"{target}: where the text is")
    functions = dict(re.findall(r'DW_TAG_subprogram.*?DW_AT_name\t\("(\w+)"\).*?DW_AT_decl_line\t\((\d+)\)', dump, re.S))
    layers = json.loads(read(f"{d}/{target}/debug.json"))["layers"]
    boundary = {defined(n + 1) for n in range(len(text)) if text[n].startswith("input ")} | {l.split()[1] for l in text if l.startswith("output ")}
    t.check({"debug_run", "debug_quantize_image"} <= set(functions) and len(functions) > 8, f"{target}: functions {functions}")
    for name, line in functions.items():
        kernel, number = name.rsplit("_", 1)
        makes = {l["name"] for l in layers if l["kernel"] == kernel} if number.isdigit() else {layers[0]["name"]}
        t.check(defined(int(line)) in (makes or boundary) | (boundary if not number.isdigit() else set()),
                f"{target}: {name} stands at line {line}, makes {makes or boundary}")
    # What a debugger asks: the place of an address; the layers in the order of their calls.
    for name in functions:
        where = tool(prefix + "addr2line", "-e", debug, "-j", f".text.{name}", "0x0").strip()
        t.check(where == f"{os.path.realpath(d)}/q.8vo:{functions[name]}", f"{target}: {name} is at {where}")
    rows = tool("llvm-dwarfdump-19", "--debug-line", debug).split("end_sequence")
    sequences = [without_repeats(int(n) for n in re.findall(r"^0x\w+ +(\d+) ", r, re.M) if int(n)) for r in rows]
    lines = {defined(n + 1): n + 1 for n in range(len(text))}
    t.check(without_repeats(lines[l["name"]] for l in layers) in sequences, f"{target}: no function calls the layers in turn: {sequences}")


one("host", "")
one("cortex-m4", "arm-none-eabi-")

# ---- text forms
ir = run("compile", "q.8vo", "--emit", "llvm", "--debug", "-o", "-", cwd=d)
with open(f"{d}/net.ll", "w") as f:
    f.write(ir)
tool("opt-19", "-passes=verify", "-disable-output", f"{d}/net.ll")
lines = [int(n) for n in re.findall(r'!DISubprogram\(name: "\w+_run".*?line: (\d+)', ir)]
t.check(len(lines) == 1 and defined(lines[0]), f"LLVM IR: the run entry is at {lines}")
t.check(".loc\t1 " in run("compile", "q.8vo", "--emit", "asm", "--debug", "-o", "-", cwd=d), "assembler has no lines")
run("compile", q, "--emit", "obj", "--debug", "--self-test", "-o", f"{d}/self/net")

# ---- no byte depends on paths
away = folder("away", "from", "there")
for name in "q.8vo", "q.safetensors":
    shutil.copy(os.path.join(d, name), away)
for emit, suffix in ("obj", ".o"), ("llvm", ".ll"), ("asm", ".s"):
    run("compile", q, "--emit", emit, "-o", f"{d}/near/net")
    run("compile", "q.8vo", "--emit", emit, "-o", "net", cwd=away)
    t.check(read(f"{d}/near/net{suffix}") == read(f"{away}/net{suffix}"), f"{suffix} depends on paths")

# ---- misuse
for args in [], ["--emit", "obj", "--cc", "gcc"], ["--emit", "c"]:
    run("compile", q, "--debug", *args, "-o", f"{d}/no/net", expect=64)
t.check(not os.path.exists(f"{d}/no"), "a refused command left output")
if os.path.isdir(os.path.join(shared, "models")):
    p = subprocess.run([octavo, "compile", model("ad_autoencoder"), "--data", data("ad_cal_f32"), "--emit", "obj", "--debug", "-o", f"{d}/onnx/net"],
                       capture_output=True, text=True)
    t.check(p.returncode == 0 and "no text that line info could point into" in p.stderr, f"a model without text: {p.returncode} {p.stderr[:500]}")
    t.check(b".debug_line" not in read(f"{d}/onnx/net.o"), "line info of a model without text")
t.close()
