"""Data in parts and in bulk: --samples for every verb that reads data, shards of calibration that merge to the bytes of one run,
memory that does not grow with the data, and a bar on a terminal that stands nowhere else."""
import pty
from common import *

need_oracles(__file__)
import numpy as np

t = Tally()
there = folder("models")
os.chdir(there)
rng = np.random.default_rng(3)

with open("m.8vo", "w") as f:
    f.write("""octavo 1
model m
input x : f32[N,3,64,64]
const @w : f32[8,3,3,3] = random seed=1 within=(-0.5,0.5)
const @v : f32[4,8] = random seed=2 within=(-1.0,1.0)
c = conv2d(x, @w) pad=same stride=2
r = relu(c)
p = mean(r) axes=(2,3)
y = dense(p, @v)
output y
""")
N = 500
x = rng.normal(0, 1, (N, 3, 64, 64)).astype(np.float32)
np.save("x.npy", x)
np.save("x100.npy", x[:100])
np.save("u.npy", (x * 40 + 128).clip(0, 255).astype(np.uint8))
labels = rng.integers(0, 4, N)
np.save("labels.npy", labels)

# ---- the part that is named
run("run", "m.8vo", "--input", "x.npy", "-o", "y.npy")
y = np.load("y.npy")
for what, part in (("10:35", slice(10, 35)), (":7", slice(0, 7)), ("490:", slice(490, None)), ("1/3", slice(0, 166)), ("2/3", slice(166, 333)), ("3/3", slice(333, 500)), (":", slice(None))):
    run("run", "m.8vo", "--input", "x.npy", "--samples", what, "-o", "part.npy")
    t.check((np.load("part.npy") == y[part]).all() and len(np.load("part.npy")) == len(y[part]), f"run of samples {what}")
e = run_json("eval", "m.8vo", "--data", "x.npy", "--labels", "labels.npy", "--samples", "100:300")
t.check(e["n"] == 200 and e["top1"] == (y[100:300].argmax(1) == labels[100:300]).mean(), "eval of a part, with its labels")
for wrong, code in (("7", 64), ("a:b", 64), ("3/2", 64), ("0/2", 64), ("1:2:3", 64), ("-3:", 64), ("5:5", 65), ("9:3", 65), ("0:501", 65), ("501/502", 65)):
    run("run", "m.8vo", "--input", "x.npy", "--samples", wrong, "-o", "no.npy", expect=0 if wrong == "501/502" else code)

# ---- shards: any split, in any order, merges to the bytes of one run, and makes the same model
def stats(name, samples=None, *args):
    run("quantize", "m.8vo", "--data", "x.npy", *(["--samples", samples] if samples else []), "--save-stats", name, "-o", "q.8vo", *args)
    return read(name)


whole = stats("whole.stats")
made = read("q.8vo")
parts = [f"part{k}.stats" for k in (1, 2, 3)]
for k, name in enumerate(parts): stats(name, f"{k + 1}/3", "--threads", str(k + 1))
for order in (parts, parts[::-1]):
    run("stats", "merge", *order, "-o", "merged.stats")
    t.check(read("merged.stats") == whole, "shards merge to the bytes of one run")
run("quantize", "m.8vo", "--stats", "merged.stats", "-o", "q.8vo")
t.check(read("q.8vo") == made, "and to the same model")


# ---- memory: the same for 100 and for 500 samples, as they are and converted. The child's peak would include the parent's pages
# before exec, so the parent is a small program.
with open("peak.c", "w") as f:
    f.write("""#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct rusage u;
    int status;
    const pid_t pid = fork();
    (void)argc;
    if (pid == 0) execv(argv[1], argv + 1);
    if (pid < 0 || wait4(pid, &status, 0, &u) != pid || status) return 1;
    printf("%ld\\n", u.ru_maxrss);
    return 0;
}
""")
subprocess.run(["cc", "-D_GNU_SOURCE", "-o", "peak", "peak.c"], check=True)


def peak(*args):
    """Peak resident KB of octavo."""
    p = subprocess.run([os.path.abspath("peak"), octavo, *args], capture_output=True, text=True)
    t.check(p.returncode == 0, "octavo " + " ".join(args) + p.stderr)
    return int(p.stdout)


def constant(what, few, many):
    print(f"{what}: peak {few} KB at 100 samples, {many} KB at 500")
    sanitized = b"__asan_init" in read(octavo)
    t.check(sanitized or many <= max(1.05 * few, few + 512), f"memory is constant: {what}") # 512: a small process is not steady to 5 %


def quantizing(model, data, *args): return peak("quantize", model, "--data", data, "--threads", "2", "-o", "q.8vo", *args)


constant("floats", quantizing("m.8vo", "x100.npy"), quantizing("m.8vo", "x.npy"))
constant("bytes made floats", *(quantizing("m.8vo", "u.npy", "--samples", f":{n}") for n in (100, 500)))
if os.path.isdir(shared + "/models"):
    images = np.load(data("vww_cal_f32"))
    for n in (100, 500): np.save(f"images{n}.npy", np.resize(images, (n,) + images.shape[1:]))
    constant("images", *(quantizing(model("vww_mobilenetv1_025_96"), f"images{n}.npy") for n in (100, 500)))
    for n in (100, 500): os.remove(f"images{n}.npy")


with open("many.8vo", "w") as f: # 400 observed values; a histogram of one takes 64 KB
    f.write("octavo 1\nmodel many\ninput x : f32[N,3,64,64]\nm0 = mean(x) axes=(2,3)\n" + "".join(f"m{i} = tanh(m{i - 1})\n" for i in range(1, 401)) + "output m400\n")
few, many = (peak("quantize", "many.8vo", "--data", "x100.npy", "--threads", threads, "-o", "q.8vo") for threads in ("1", "8"))
print(f"400 values: peak {few} KB with 1 thread, {many} KB with 8")
t.check(many <= 1.25 * few, "threads do not multiply the memory of statistics")


# ---- the bar: on a terminal, for work of more than a second; nowhere else
def on_terminal(env, *args):
    """What octavo writes to stderr, a terminal; stdout is a file."""
    pid, fd = pty.fork()
    if pid == 0:
        os.dup2(os.open("stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execve(octavo, [octavo, *args], dict(os.environ, **env))
    seen = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError: # the other end is gone
            break
        if not piece: break
        seen += piece
    _, status = os.waitpid(pid, 0)
    t.check(status == 0, "octavo on a terminal")
    return seen


def convolutions(n):
    return "".join(f"const @v{i} : f32[64,64,3,3] = random seed={i} within=(-0.1,0.1)\nc{i} = conv2d(c{i - 1}, @v{i}) pad=same\n" for i in range(1, n + 1))


with open("slow.8vo", "w") as f:
    f.write("octavo 1\nmodel slow\ninput x : f32[N,1,12,12]\nconst @w : f32[64,1,3,3] = random seed=9 within=(-0.5,0.5)\nc0 = conv2d(x, @w) pad=same\n" + convolutions(3)
            + "m = mean(c3) axes=(2,3)\noutput m\n")
count = 300


def long_enough(env, *args):
    """What is on the terminal when the work takes more than a second on this machine, whatever it is doing beside."""
    global count
    while True:
        np.save("slow.npy", rng.normal(0, 1, (count, 1, 12, 12)).astype(np.float32))
        np.save("labels.npy", np.zeros(count, np.int64))
        begin = time.time()
        seen = on_terminal(env, *args)
        if b"[=" in seen or time.time() - begin > 5: return seen
        count *= 2


slow = ["quantize", "slow.8vo", "--data", "slow.npy", "--threads", "1", "--save-stats", "s.stats", "-o", "q.8vo"]
seen = long_enough({"TERM": "xterm"}, *slow)
t.check(b"calibrate" in seen and b"[===" in seen and b"left" in seen and b"\x1b" not in seen, f"a bar with the time left: {seen[-120:]}")
first = read("s.stats"), read("stdout")
t.check(b"[=" not in on_terminal({"TERM": "dumb"}, *slow), "no bar where the terminal cannot")
p = subprocess.run([octavo, *slow], capture_output=True)
t.check(p.returncode == 0 and p.stderr == b"" and p.stdout == b"", "nothing without a terminal")
t.check((read("s.stats"), read("stdout")) == first and b"\r" not in first[0], "no bar in files")
quick = on_terminal({"TERM": "xterm"}, "quantize", "m.8vo", "--data", "x.npy", "--samples", ":4", "-o", "q.8vo")
t.check(b"[=" not in quick, "no bar for what is done at once")
seen = long_enough({"TERM": "xterm", "NO_COLOR": "1"}, "eval", "slow.8vo", "--data", "slow.npy", "--labels", "labels.npy", "--threads", "1")
t.check(b"eval" in seen and b"[=" in seen and b"\x1b" not in seen, "a bar of eval, without colours")
t.close()
