"""The interface of compiled models: NAME.h from C and C++, hostile names, several inputs and outputs in order of declaration, both
image layouts, batches, float boundaries, outputs that are inputs, files whose names are no identifiers; sizes as `size` and a
painted stack see them. Each model is compiled, linked with a caller and run; the values are the interpreter's."""
import json, os, struct
from common import *

t = Tally()
CLEAN = "-pedantic -Wall -Wextra -Wconversion -Wshadow -Wcast-align -Werror"


def sh(*args, cwd):
    p = subprocess.run(args, capture_output=True, text=True, cwd=cwd)
    if p.returncode:
        sys.exit(f"{' '.join(args)}: exit {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def model(name, text):
    there = folder(name)
    with open(os.path.join(there, "m.8vo"), "w") as f:
        f.write("octavo 1\nmodel m\n" + text)
    return there


def caller(there, header, body, source, main="main.c"):
    """Compiles and runs a main that includes the header; returns what it prints, as numbers."""
    with open(os.path.join(there, main), "w") as f:
        f.write(f'#include "{header}"\n#include <stdio.h>\n' + body)
    if main.endswith(".c"):
        sh("gcc", "-std=c99", *CLEAN.split(), "-o", "main", main, source, cwd=there)
    else:
        sh("gcc", "-std=c99", *CLEAN.split(), "-c", "-o", "m.o", source, cwd=there)
        sh("g++", "-std=c++11", *CLEAN.split(), "-o", "main", main, "m.o", cwd=there)
    return [float(x) for x in sh("./main", cwd=there).split()]


def main_of(prefix, params, values, results, runs=1):
    """A main: params as (C type, elements), the first ones filled from `values`; prints all elements of the last `results`."""
    text = f"static union {{ unsigned char bytes[{prefix.upper()}_ARENA_SIZE]; double align[2]; }} arena;\nint main(void) {{\n"
    for i, (kind, n) in enumerate(params):
        given = ", ".join(str(v) for v in values[i]) if i < len(values) else "0"
        text += f"    static {kind} p{i}[{n}] = {{ {given} }};\n"
    call = ", ".join(f"p{i}" for i in range(len(params)))
    text += f"    if ({prefix}_run({call}, arena.bytes) != 0) return 1;\n" * runs
    for i in range(len(params) - results, len(params)):
        text += f"    for (int i = 0; i < {params[i][1]}; i++) printf(\"%g\\n\", (double)p{i}[i]);\n"
    return text + "    return 0;\n}\n"


# ---- several inputs and outputs, in order of declaration, not of use
there = model("order", """input b : i8[N,3] scale=1.0
input a : i8[N,3] scale=1.0
s : i8 scale=1.0 = sub(a, b)
u : i8 scale=1.0 = add(b, b)
output second = u
output first = s
""")
run("compile", there + "/m.8vo", "-o", there + "/net")
got = caller(there, "net.h", main_of("net", [("int8_t", 3)] * 4, [[1, 2, 3], [10, 20, 30]], 2), "net.c")
t.check(got == [2, 4, 6, 9, 18, 27], f"order of parameters: {got}")
got = caller(there, "net.h", main_of("net", [("int8_t", 3)] * 4, [[1, 2, 3], [10, 20, 30]], 2), "net.c", "main.cpp")
t.check(got == [2, 4, 6, 9, 18, 27], f"from C++: {got}")

# ---- names that C, the header or the program itself use for something else
names = ["int8_t", "data_0", "relu_table_0", "arena", "a", "int", "class", "INT32_MIN", "net_run", "oct_sar32", "x", "net_weights"]
text = "".join(f"input {n} : i8[N,2] scale=1.0\n" for n in names)
text += "".join(f"r{i} : i8 scale=1.0 = relu({n})\noutput {n}.y = r{i}\n" for i, n in enumerate(names))
there = model("hostile", text)
run("compile", there + "/m.8vo", "-o", there + "/net")
values = [[i + 1, -i - 1] for i in range(len(names))]
for main in ("main.c", "main.cpp"):
    got = caller(there, "net.h", main_of("net", [("int8_t", 2)] * (2 * len(names)), values, len(names)), "net.c", main)
    t.check(got == [x for i in range(len(names)) for x in (i + 1, 0)], f"hostile names, {main}: {got}")
there = model("comment", """input x : i8[N,2] scale=1.0 from="*/ int boom; /*"
y : i8 scale=1.0 = relu(x) from="??/" doc="*/ #error"
output y
""")
run("compile", there + "/m.8vo", "-o", there + "/net")
t.check(caller(there, "net.h", main_of("net", [("int8_t", 2)] * 2, [[5, -5]], 1), "net.c") == [5, 0], "hostile comments")

# ---- layouts and batches: 2 channels of 1 x 3
there = model("layout", """input x : i8[N,2,1,3] scale=1.0
y : i8 scale=1.0 = relu(x)
output y
""")
for layout, want in (("nchw", [1, 2, 3, 4, 5, 6]), ("nhwc", [1, 2, 3, 4, 5, 6])):
    run("compile", there + "/m.8vo", "-o", f"{there}/{layout}", "--io-layout", layout)
    got = caller(there, f"{layout}.h", main_of(layout, [("int8_t", 6)] * 2, [[1, 2, 3, 4, 5, 6]], 1), f"{layout}.c")
    t.check(got == want, f"{layout}: {got}")
there = model("transposed", """input x : i8[N,2,1,3] scale=1.0
const @k : i8[1,2,1,1] scale=1.0 = (1,-1)
d : i8 scale=1.0 = mul(x, @k)
output d
""")
for layout, want in (("nchw", [1, 2, 3, -4, -5, -6]), ("nhwc", [1, -2, 3, -4, 5, -6])):
    run("compile", there + "/m.8vo", "-o", f"{there}/{layout}", "--io-layout", layout)
    got = caller(there, f"{layout}.h", main_of(layout, [("int8_t", 6)] * 2, [[1, 2, 3, 4, 5, 6]], 1), f"{layout}.c")
    t.check(got == want, f"channels in {layout}: {got}")
    run("compile", there + "/m.8vo", "-o", f"{there}/b{layout}", "--io-layout", layout, "--batch", "3")
    got = caller(there, f"b{layout}.h", main_of("b" + layout, [("int8_t", 18)] * 2, [[1, 2, 3, 4, 5, 6] * 3], 1, runs=2), f"b{layout}.c")
    t.check(got == want * 3, f"batch of 3 in {layout}: {got}")

# ---- floats at the boundary, and the conversions of the header
there = model("floats", """input x : f32[N,3]
q : i8 scale=0.5 zero=10 = quantize(x)
r : i8 scale=0.5 zero=10 = relu(q)
y = dequantize(r)
output y
""")
run("compile", there + "/m.8vo", "-o", there + "/f", "--io", "float")
got = caller(there, "f.h", main_of("f", [("float", 3)] * 2, [["-1.0f", "1.5f", "1000.0f"]], 1), "f.c")
t.check(got == [0, 1.5, 58.5], f"--io float: {got}")
run("compile", there + "/m.8vo", "-o", there + "/c", "--io", "int8")
body = """static unsigned char arena[C_ARENA_SIZE];
int main(void) {
    static const float in[3] = { -1.0f, 1.5f, 1000.0f };
    static int8_t q[3], r[3];
    static float y[3];
    c_quantize_x(in, q);
    if (c_run(q, r, arena) != 0) return 1;
    c_dequantize_y(r, y);
    for (int i = 0; i < 3; i++) printf("%g\\n", (double)y[i]);
    return 0;
}
"""
got = caller(there, "c.h", body, "c.c")
t.check(got == [0, 1.5, 58.5], f"--io int8 with its conversions: {got}")

# ---- an output that is an input, one value twice, a constant
there = model("alias", """input x : i8[N,3] scale=1.0
y : i8 scale=1.0 = relu(x)
output x
output y
output again = y
""")
run("compile", there + "/m.8vo", "-o", there + "/net")
got = caller(there, "net.h", main_of("net", [("int8_t", 3)] * 4, [[1, -2, 3]], 3), "net.c")
t.check(got == [1, -2, 3, 1, 0, 3, 1, 0, 3], f"outputs that share a value: {got}")

there = model("constant", """input x : i8[N,3] scale=1.0
const @k : i8[1,2,1,3] scale=1.0 = (1,-2,3,4,-5,6)
y : i8 scale=1.0 = relu(x)
k : i8 scale=1.0 = relu(@k)
output k
output y
output late = k
""")
for layout, want in (("nchw", [1, 0, 3, 4, 0, 6]), ("nhwc", [1, 4, 0, 0, 3, 6])):
    run("compile", there + "/m.8vo", "-o", f"{there}/{layout}", "--io-layout", layout)
    sizes = [("int8_t", 3), ("int8_t", 6), ("int8_t", 3), ("int8_t", 6)]
    got = caller(there, f"{layout}.h", main_of(layout, sizes, [[1, -2, 3]], 3), f"{layout}.c")
    t.check(got == want + [1, 0, 3] + want, f"constant outputs, {layout}: {got}")

# ---- files whose names are no identifiers; weights in a file beside them
there = model("file", "input x : i8[N,2] scale=1.0\nconst @w : i8[2,2] scale=1.0 = (1,2,3,4)\ny : i8 scale=1.0 = dense(x, @w)\noutput y\n")
for name, prefix in (("my-net", "my_net"), ("3.14 net", "m3_14_net")):
    run("compile", there + "/m.8vo", "-o", f"{there}/out/{name}")
    there_out = there + "/out"
    got = caller(there_out, name + ".h", main_of(prefix, [("int8_t", 2)] * 2, [[1, 1]], 1), name + ".c")
    t.check(got == [3, 7], f"file {name}: {got}")
    run("compile", there + "/m.8vo", "-o", f"{there}/{name}", "--weights", "incbin", "--emit", "obj")
    got = caller(there, name + ".h", main_of(prefix, [("int8_t", 2)] * 2, [[1, 1]], 1), name + ".o")
    t.check(got == [3, 7], f"object {name} with its weights: {got}")
run("compile", there + "/m.8vo", "-o", there + '/a"b', expect=64)

# ---- sizes: code as `size` counts it, the stack as a thread that painted its own finds it
paint = """#include <pthread.h>
#include <string.h>
static unsigned char arena[NET_ARENA_SIZE + 64], stack[1 << 20] __attribute__((aligned(64)));
static int8_t in[NIN], out[NOUT];
static void *work(void *empty) { return empty ? empty : (void *)(long)net_run(in, out, arena); }
static long used(void *arg) {
    pthread_attr_t a;
    pthread_t th;
    long low = 0;
    memset(stack, 0x5a, sizeof stack);
    pthread_attr_init(&a);
    if (pthread_attr_setstack(&a, stack, sizeof stack) || pthread_create(&th, &a, work, arg) || pthread_join(th, 0)) return -1;
    while (low < (long)sizeof stack && stack[low] == 0x5a) low++;
    return (long)sizeof stack - low;
}
int main(void) { used(arena); long base = used(arena); printf("%ld\\n", used(0) - base); return 0; }
"""
there = model("size", """input x : i8[N,3,16,16] scale=0.5 zero=-4
const @w : i8[8,3,3,3] scale=0.01 = random seed=1
const @v : i8[8,1,3,3] scale=0.01 = random seed=2
c : i8 scale=0.2 zero=3 = conv2d(x, @w) pad=1 profile=tflm
d : i8 scale=0.2 zero=3 = conv2d(c, @v) pad=1 groups=8
p : i8 scale=0.2 zero=3 = mean(d) axes=(2,3)
y : i8 scale=0.00390625 zero=-128 = softmax(p) axis=1
output y
""")
llvm = os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so"))
for by in [["--cc", cc, "--cflags", level] for cc in ("gcc", "clang-19") for level in ("-O0", "-O2", "-O3")] + [[]] * llvm:
    what = " ".join(by) or "LLVM"
    run("compile", there + "/m.8vo", "-o", there + "/net", "--emit", "obj", *by)
    r = json.loads(read(there + "/net.json"))
    sections = [l.split() for l in sh("size", "-A", "-d", "net.o", cwd=there).splitlines()]
    for key, kind in ("text_bytes", ".text"), ("rodata_bytes", ".rodata"):
        size = sum(int(s[1]) for s in sections if s and s[0].startswith(kind))
        t.check(r[key] == size > 0, f"{key} by {what}: {r[key]}, size says {size}")
    names = {f["name"] for f in r["functions"]}
    t.check({"net_run", "net_quantize_x", "net_dequantize_y"} <= names and len(names) > 6, f"functions by {what}: {names}")
    t.check(all(f["text_bytes"] > 0 and f["stack_bytes"] >= 0 for f in r["functions"]), f"functions by {what}: {r['functions']}")
    with open(there + "/paint.c", "w") as f:
        f.write('#include "net.h"\n#include <stdio.h>\n' + paint)
    sh("gcc", "-DNIN=768", "-DNOUT=8", "-pthread", "-o", "paint", "paint.c", "net.o", cwd=there)
    used = int(sh("./paint", cwd=there))
    t.check(used <= r["stack_bytes"] <= used + 1024, f"stack_bytes by {what}: {r['stack_bytes']}, painted {used}")
run("compile", there + "/m.8vo", "-o", there + "/src")
r = json.loads(read(there + "/src.json"))
t.check(r["text_bytes"] is None and r["stack_bytes"] is None and r["functions"] is None, "no sizes without an object")
t.close()
