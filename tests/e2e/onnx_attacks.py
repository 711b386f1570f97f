"""Hostile ONNX files through the command: each is refused with the right exit code, one clean diagnostic, no output, within bounded
time and memory (P1 to P4, and the ONNX attacks of PROMISES). What needs malformed bytes is in tests/unit/test_onnx.c; here are
files: external data that reaches for other files, and models that ask for too much. Needs the venv of scripts/setup.sh --oracles."""
from common import *

need_oracles(__file__)

import resource
import signal
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

shutil.rmtree(out, ignore_errors=True)
home = os.path.join(out, "model")  # the model's folder; what lies beside it must not be read
os.makedirs(os.path.join(home, "sub"))
outside = os.path.join(out, "secret.bin")
weights = np.arange(12, dtype=np.float32).reshape(3, 4)
for path in (outside, os.path.join(home, "w.bin"), os.path.join(home, "sub", "w.bin"), os.path.join(home, "two.bin")):
    weights.tofile(path)
os.symlink("w.bin", os.path.join(home, "link.bin"))
os.symlink(outside, os.path.join(home, "far.bin"))
os.symlink(out, os.path.join(home, "dir"))
os.symlink("sub", os.path.join(home, "near"))
os.link(os.path.join(home, "two.bin"), os.path.join(home, "hard.bin"))
os.mkfifo(os.path.join(home, "fifo"))
failures, cases = [], 0


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    signal.alarm(20)


# Runs a command and says its peak in KB. A process of its own, because a child's peak starts at what its parent occupied.
MEASURE = """import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print("peak", usage.ru_maxrss, file=sys.stderr, flush=True)
code = os.waitstatus_to_exitcode(status)
os.kill(os.getpid(), -code) if code < 0 else os._exit(code)"""


def attempt(what, model, code, words=(), errors=1):
    """One import; `errors` reports are expected."""
    global cases
    cases += 1
    path, text = os.path.join(home, "m.onnx"), os.path.join(out, "m.8vo")
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with open(path, "wb") as f:
        f.write(data)
    start = time.time()
    with open(os.path.join(home, "stdout"), "w+b") as o, open(os.path.join(home, "stderr"), "w+b") as e:
        r = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, octavo, "import", path, "-o", text], stdin=subprocess.DEVNULL,
                           stdout=o, stderr=e, preexec_fn=limits)
        o.seek(0), e.seek(0)
        stdout, stderr = o.read(), e.read()
    stderr, _, peak = stderr.rpartition(b"peak ")
    peak = int(peak) * 1024
    said, seconds = stderr.decode("utf-8", "replace"), time.time() - start
    left = [n for n in os.listdir(out) if n not in ("model", "secret.bin")]
    problems = []
    if r.returncode != code:
        problems.append(f"exit {r.returncode} instead of {code}")
    found = said.count("error:")
    if code and found != errors:
        problems.append(f"{found} reports instead of {errors}")
    problems += [f"does not say {w!r}" for w in words if w not in said]
    if code and (left or stdout):
        problems.append(f"left {left} behind, stdout {stdout[:80]!r}")
    if seconds > 10:
        problems.append(f"took {seconds:.1f} s")
    if peak > (64 << 20) + 20 * len(data):
        problems.append(f"took {peak >> 20} MiB for {len(data)} bytes")
    for n in left:
        os.unlink(os.path.join(out, n))
    if problems:
        failures.append(what)
        print(f"FAIL {what}: {'; '.join(problems)}\n{said[:600]}")


def model(nodes, inputs=None, outputs=("y",), init=(), opset=17, **more):
    inputs = inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])]
    outs = [helper.make_empty_tensor_value_info(o) for o in outputs]
    g = helper.make_graph(nodes, "g", inputs, outs, initializer=list(init))
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more)


def external(*entries, dims=(3, 4), raw=None):
    t = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=list(dims), data_location=TensorProto.EXTERNAL)
    for k, v in entries:
        t.external_data.add(key=k, value=v)
    if raw:
        t.raw_data = raw
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], init=[t])


# ---- external data: what may be read
attempt("external data", external(("location", "w.bin")), 0)
attempt("external data in a folder", external(("location", "sub/w.bin"), ("offset", "0"), ("length", "48")), 0)
attempt("external data, a part", external(("location", "w.bin"), ("offset", "16"), ("length", "32"), dims=(2, 4)), 65, ["2"])  # 3 inputs x 2
with open(os.path.join(home, "odd.bin"), "wb") as f:
    f.write(b"?" + weights.tobytes())
same = []
for entries in ((("location", "w.bin"),), (("location", "odd.bin"), ("offset", "1"))):  # elements that are not aligned
    with open(os.path.join(home, "same.onnx"), "wb") as f:
        f.write(external(*entries).SerializeToString())
    r = subprocess.run([octavo, "import", os.path.join(home, "same.onnx"), "-o", "-"], capture_output=True)
    same.append(r.stdout)
if not same[0] or same[0] != same[1]:
    failures.append("odd offset")
    print("FAIL external data at an odd offset reads other weights")

# ---- ... and what may not: CVE-2022-25882, CVE-2024-27318, links, special files
for name in ("../secret.bin", "sub/../../secret.bin", "./../secret.bin", "sub/../w.bin", outside, "/etc/passwd", "/proc/self/environ",
             "link.bin", "far.bin", "dir/secret.bin", "near/w.bin", "hard.bin", "fifo", "sub", ".", "..", "/",):
    attempt(f"external data at {name!r}", external(("location", name)), 65)
for name in ("nothing.bin", "w.bin/", "w.bin\n"):
    attempt(f"external data at {name!r}", external(("location", name)), 66)
attempt("external data without a name", external(("location", "")), 65, ["names no file"])
attempt("external data without location", external(("offset", "0")), 65, ["names no file"])
attempt("unknown key", external(("location", "w.bin"), ("basepath", "/etc")), 65, ["unknown key"])
attempt("key twice", external(("location", "w.bin"), ("location", "../secret.bin")), 65, ["twice"])
for key, value in (("offset", "-1"), ("offset", "1e3"), ("offset", " 0"), ("offset", "0x10"), ("offset", ""), ("length", "-48"),
                   ("length", "99999999999999999999999999"), ("offset", "18446744073709551616")):
    attempt(f"{key} {value!r}", external(("location", "w.bin"), (key, value)), 65, ["no number"])
for offset, length in (("48", "48"), ("1", "48"), ("4611686018427387903", "48"), ("0", "4611686018427387903"), ("9", "4611686018427387900")):
    attempt(f"offset {offset} length {length}", external(("location", "w.bin"), ("offset", offset), ("length", length)), 65)
attempt("shorter than dims", external(("location", "w.bin"), ("length", "44")), 65, ["dimensions ask for"])
attempt("longer than dims", external(("location", "w.bin"), dims=(3, 3)), 65, ["dimensions ask for"])
attempt("dims that overflow", external(("location", "w.bin"), dims=(1 << 33, 1 << 33)), 65, ["too many"])
attempt("two places", external(("location", "w.bin"), raw=bytes(48)), 65, ["more than one place"])

# ---- forms that are named: 69, and the reason
relu = helper.make_node("Relu", ["x"], ["y"])
branch = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")])
attempt("If", model([helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)]), 69, ["(If)", "control flow"])
sparse = model([relu])
sparse.graph.sparse_initializer.add().dims.extend([3])
attempt("sparse initializer", sparse, 69, ["sparse"])
function = model([helper.make_node("F", ["x"], ["y"], domain="mine")])
function.functions.append(helper.make_function("mine", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]))
attempt("local function", function, 69, ["of 'mine'", "inline"])
sequence = model([relu], inputs=[helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)])
attempt("sequence input", sequence, 69, ["is no tensor"])
attempt("string tensor", model([relu], init=[helper.make_tensor("s", TensorProto.STRING, [1], [b"a"])]), 69, ["string"])
attempt("int64 input", model([relu], inputs=[helper.make_tensor_value_info("x", TensorProto.INT64, [1])]), 69, ["int64"])
attempt("training dropout", model([helper.make_node("Dropout", ["x", "", "t"], ["y"])], init=[numpy_helper.from_array(np.array(True), "t")]), 69, ["training"])
attempt("second result", model([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[1, 1])], inputs=[helper.make_tensor_value_info("x", 1, ["N", 1, 2, 2])]), 69, ["result 1"])
attempt("opset 5", model([relu], opset=5), 69, ["opset 5"])
attempt("weights at run time", model([helper.make_node("Conv", ["x", "w"], ["y"])], inputs=[helper.make_tensor_value_info(n, 1, [1, 1, 2, 2]) for n in "xw"]), 69, ["run time"])

# ---- too much of something
attempt("no bytes", b"", 65)
attempt("zeros", bytes(1000), 65)
attempt("text", b"octopus\n" * 100, 65)
chain = lambda op, n: [helper.make_node(op, ["x" if i == 0 else f"v{i - 1}"], ["y" if i == n - 1 else f"v{i}"]) for i in range(n)]
attempt("many nodes", model(chain("Relu", 30000)), 0)
attempt("too many nodes", model(chain("Relu", 40000)), 65, ["40000 nodes"])
attempt("many unknown operators", model(chain("Nope", 10000)), 69, errors=10000)
clash = [helper.make_node("Relu", ["x" if i == 0 else f"{i - 1:b}".replace("0", "/").replace("1", ":")], ["y" if i == 19999 else f"{i:b}".replace("0", "/").replace("1", ":")]) for i in range(20000)]
attempt("names that become the same", model(clash), 0)
big = helper.make_node("ConstantOfShape", ["s"], ["z"])
attempt("a constant of 2^31 elements", model([relu, big], init=[numpy_helper.from_array(np.array([1 << 15, 1 << 16]), "s")]), 65, ["too much memory"])
grow = [helper.make_node("Concat", [f"c{i}"] * 8, [f"c{i + 1}"], axis=0) for i in range(12)]
attempt("a constant that doubles and doubles", model([relu] + grow, init=[numpy_helper.from_array(np.arange(8), "c0")]), 65, ["too much memory"])
wide = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1 << 20])]
attempt("values of 2^31 elements", model([helper.make_node("Concat", ["x"] * 2049, ["y"], axis=1)], inputs=wide), 65)
attempt("an int8 input among many", model([relu], inputs=[helper.make_tensor_value_info(f"i{k}", TensorProto.INT8, [1]) for k in range(1025)]), 65, ["inputs"])
# last, because the peak of a child counts the parent's size when it forked
attempt("a name of 10 MB", model([helper.make_node("Relu", ["x"], ["n" * 10_000_000], name="n" * 10_000_000)], outputs=["n" * 10_000_000]), 0)

print(f"{cases} hostile or odd files, {len(failures)} failures")
sys.exit(1 if failures else 0)
