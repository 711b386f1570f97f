#!/usr/bin/env python3
"""compile --threads: NAME_run_part shared by 1 to 4 threads of the runtime's pool, or of the caller, gives the interpreter's codes,
in C and as LLVM's object, for kws, ic and vww; clean under ThreadSanitizer; and without the option an object has no trace of it."""
import subprocess
from common import *

SAMPLES, PARTS = 2, 4
MAIN = r"""
#include "net.h"
#include "octavo_team.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static _Alignas(64) unsigned char arena[NET_ARENA_SIZE];
static int8_t x[IN], want[OUT], y[OUT];
static struct octavo_team team;
struct seat { struct net_job *job; int32_t part; };
static void *own(void *arg) {
    struct seat *s = arg;
    net_job_part(s->job, s->part, team.parts, octavo_team_meet, &team);
    return NULL;
}
int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "rb");
    long wrong = 0, runs = 0;
    (void)argc;
    while (in && out && fread(x, 1, IN, in) == IN && fread(want, 1, OUT, out) == OUT) {
        struct net_job job = {x, y, arena};
        net_run(x, y, arena);
        for (int j = 0; j < OUT; j++) wrong += y[j] != want[j];
        for (int32_t parts = 1; parts <= NET_MAX_PARTS; parts++) {
            struct octavo_pool pool;
            pthread_t thread[NET_MAX_PARTS];
            struct seat seat[NET_MAX_PARTS];
            if (octavo_pool_start(&pool, parts)) return 2;
            for (int again = 0; again < 2; again++, runs++) {
                memset(y, 99, OUT);
                memset(arena, again, sizeof arena);
                octavo_pool_run(&pool, net_job_part, &job);
                for (int j = 0; j < OUT; j++) wrong += y[j] != want[j];
            }
            octavo_pool_stop(&pool);
            memset(y, 99, OUT); /* the caller's own threads */
            octavo_team_init(&team, parts);
            for (int32_t i = 0; i < parts; i++) seat[i] = (struct seat){&job, i};
            for (int32_t i = 1; i < parts; i++)
                if (pthread_create(&thread[i], NULL, own, &seat[i])) return 3;
            own(&seat[0]);
            for (int32_t i = 1; i < parts; i++) pthread_join(thread[i], NULL);
            for (int j = 0; j < OUT; j++) wrong += y[j] != want[j];
            runs++;
        }
    }
    printf("%ld runs, %ld wrong\n", runs, wrong);
    return wrong || !runs;
}
"""


def command(*args):
    p = subprocess.run(args, capture_output=True, text=True)
    return p.returncode, (p.stdout + p.stderr).strip()


def npy_body(path):
    raw = read(path)
    return raw[10 + struct.unpack("<H", raw[8:10])[0]:]


def main():
    need_shared()
    t = Tally()
    for name in ("kws_dscnn", "ic_resnet8", "vww_mobilenetv1_025_96"):
        d = folder(name)
        at = lambda *f: os.path.join(d, *f)
        cal, test, _ = FLOAT_MODELS[name]
        run("quantize", model(name), "--data", data(cal), "-o", at("q.8vo"))
        head(data(test), at("x.npy"), SAMPLES)
        run("run", at("q.8vo"), "--input", at("x.npy"), "-o", at("y.npy"))
        for emit, more in (("c", ["--target", "c99"]), ("c", ["--target", "host"]), ("obj", ["--target", "host"])):
            tag = emit + more[-1]
            os.makedirs(at(tag), exist_ok=True)
            run("compile", at("q.8vo"), "--emit", emit, *more, "--threads", PARTS, "-o", at(tag, "net"))
            h = read(at(tag, "net.h")).decode()
            t.check(f"#define NET_MAX_PARTS {PARTS}" in h and "net_run_part(" in h, f"{name}: no parts in the header")
            quantize = h[h.index("void net_quantize_"):].split("(")[0].split()[1]
            floats, outs = len(npy_body(at("x.npy"))) // SAMPLES // 4, len(npy_body(at("y.npy"))) // SAMPLES
            with open(at(tag, "main.c"), "w") as f:
                f.write(MAIN.replace("fread(x, 1, IN, in) == IN", f"fread(real, 4, IN, in) == IN && ({quantize}(real, x), 1)").replace("static int8_t x[IN]", "static float real[IN]; static int8_t x[IN]"))
            parts = [at(tag, "net." + ("o" if emit == "obj" else "c"))] + ([at(tag, "net.weights.S")] if os.path.exists(at(tag, "net.weights.S")) else [])
            with open(at("x.bin"), "wb") as f:
                f.write(npy_body(at("x.npy")))
            with open(at("y.bin"), "wb") as f:
                f.write(npy_body(at("y.npy")))
            for sanitize in ([[]] if emit == "obj" else [[], ["-fsanitize=thread"]]):
                exe = at(tag, "main")
                rc, said = command("gcc", "-std=c11", "-O2", *sanitize, f"-DIN={floats}", f"-DOUT={outs}", "-I", at(tag), "-I", os.path.join(source, "runtime"),
                                   "-Wa,-I" + at(tag), "-o", exe, at(tag, "main.c"), os.path.join(source, "runtime", "octavo_team.c"), *parts, "-lpthread")
                t.check(rc == 0, f"{name} {tag}: {said[-800:]}")
                rc, said = command(exe, at("x.bin"), at("y.bin"))
                t.check(rc == 0 and said.endswith("0 wrong"), f"{name} {tag} {sanitize}: {said[-1500:]}")
                print(f"{name} {tag} {' '.join(sanitize)}: {said}", flush=True)
        run("compile", at("q.8vo"), "--emit", "obj", "-o", at("plain"))
        t.check(b"run_part" not in read(at("plain.o")) and b"meet" not in read(at("plain.o")) and b"PARTS" not in read(at("plain.h")), f"{name}: a trace of threads")
    t.close()


main()
