#!/usr/bin/env python3
"""The LLVM back end: the values inside int8 models are the interpreter's, bit for bit (outputs: executors.py). Objects need nothing but
memcpy and memset; the module is not loaded by commands that do not need it; without it, and out of memory, the command says so."""
import resource, shutil
from common import *

# name: inputs
MODELS = {"kws_dscnn": 60, "ic_resnet8": 12, "ad_autoencoder": 60}
# What objects may need from outside, by suffix of the target.
ALLOWED = {"", "memcpy", "memset", "__aeabi_memcpy", "__aeabi_memclr", "__aeabi_memset"}


def undefined(path, nm="nm"):
    text = subprocess.run([nm, "-u", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines()}


def one_model(t, name, few):
    cal, test, _ = FLOAT_MODELS[name]
    d = folder(name)
    q, small = os.path.join(d, "q.8vo"), head(data(test), os.path.join(d, "few.npy"), few)
    run("quantize", model(name), "--data", data(cal), "-o", q)
    inside = run_json("compare", q, q, "--data", small, "--engine", "jit")["tensors"]
    t.check(len(inside) > 5 and all(v["max_abs"] == 0 for v in inside), f"{name}: values inside differ")
    for target in "host", "x86-64-v3", "aarch64", "cortex-m4", "cortex-m55":
        to = os.path.join(d, target, "net")
        run("compile", q, "--target", target, "--emit", "obj", "-o", to)
        needs = undefined(to + ".o") - ALLOWED
        t.check(not needs, f"{name}: for {target} the object needs {needs}")
        t.check(not os.path.exists(to + ".c"), f"{name}: C was written beside the object")
    print(f"{name}: {len(inside)} values of {few} inputs", flush=True)
    return q


def misuse(t, q):
    d = folder("misuse")
    text = run("compile", q, "--emit", "llvm", "-o", "-")
    t.check("define i32 @" in text and "target datalayout" in text and "noalias" in text, "LLVM IR on stdout")
    ir = os.path.join(d, "net.ll")
    with open(ir, "w") as f:
        f.write(text)
    again = subprocess.run(["opt-19", "-passes=verify", "-disable-output", ir], capture_output=True, text=True)
    t.check(again.returncode == 0, "opt-19 refuses the IR: " + again.stderr[:400])
    run("compile", q, "--emit", "asm", "--target", "cortex-m4", "-o", os.path.join(d, "m4", "net"))
    t.check(b"net_run:" in read(os.path.join(d, "m4", "net.s")), "assembler has the entry")
    # The same bytes again, whatever folder they go to.
    for n in "1", "2":
        run("compile", q, "--emit", "obj", "--target", "cortex-m7", "-o", os.path.join(d, n, "net"))
    t.check(read(os.path.join(d, "1", "net.o")) == read(os.path.join(d, "2", "net.o")), "an object is not reproducible")
    bad = os.path.join(d, "bad", "net")
    for args in (["--emit", "llvm", "--cc", "gcc"], ["--emit", "asm", "--cflags", "-O1"], ["--emit", "obj", "-o", "-"],
                 ["--emit", "lib", "-o", "-"], ["--emit", "obj", "--target", "cortex-m4", "--cflags", "-O1"]):
        run("compile", q, *(["-o", bad] if "-o" not in args else []), *args, expect=64)
    t.check(not os.path.exists(os.path.dirname(bad)), "a refused command left output")


def main():
    need_shared()
    if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
        print("built without the LLVM back end")
        sys.exit(1 if os.environ.get("CI") else 77)
    t = Tally()
    made = [one_model(t, name, few) for name, few in MODELS.items()]
    misuse(t, made[0])
    t.close()


main()
