#!/usr/bin/env python3
"""Every dump is a model: one dump and the constants' store, alone in an empty folder, compile to the bytes of the one-line compile.
Every pass, every float model; calibration data are given only to dumps before `calibrate`. Also the same bytes from another
folder, another locale and time zone, one and two threads (P7)."""
import hashlib, os, re, shutil
from common import *


def compiled(args, prefix, **kw):
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    run("compile", *args, "-o", prefix, **kw)
    base, stem = os.path.dirname(prefix), os.path.basename(prefix)
    return {f[len(stem):]: hashlib.sha256(read(os.path.join(base, f))).hexdigest() for f in sorted(os.listdir(base)) if f.startswith(stem + ".")}


def main():
    need_shared()
    t, dumps = Tally(), 0
    for name, (cal, _, _) in FLOAT_MODELS.items():
        d = folder(name)
        shutil.rmtree(d)
        one = compiled([model(name), "--data", data(cal)], os.path.join(d, "one", "net"))
        t.check({".c", ".h", ".json"} <= set(one), f"{name}: compile wrote {sorted(one)}")
        env = dict(os.environ, LC_ALL="de_DE.UTF-8", LANG="de_DE.UTF-8", TZ="Pacific/Auckland")
        two = os.path.join(d, "two.8vo")
        run("quantize", os.path.abspath(model(name)), "--data", data(cal), "--threads", "3", "-o", two, env=env, cwd=folder("cwd"))
        two = compiled([two], os.path.join(d, "elsewhere", "deeper", "net"), env=env, cwd=folder("cwd"))
        t.check(one == two, f"{name}: another folder, locale and thread count give other bytes")
        run("opt", model(name), "--data", data(cal), "--dump-after", "all", "--dump-dir", os.path.join(d, "dumps"), "-o", os.path.join(d, "last.8vo"))
        files = sorted(f for f in os.listdir(os.path.join(d, "dumps")) if f.endswith(".8vo"))
        calibrated = False
        for f in files:
            alone = os.path.join(d, "alone")
            shutil.rmtree(alone, ignore_errors=True)
            os.makedirs(alone)
            for part in (f, "store.safetensors"):
                if os.path.exists(os.path.join(d, "dumps", part)):
                    shutil.copy(os.path.join(d, "dumps", part), alone)
            after = re.search(r"after=([\w.]+)", open(os.path.join(alone, f)).read()).group(1)
            calibrated |= after == "calibrate"
            args = [os.path.join(alone, f)] + ([] if calibrated else ["--data", data(cal)])
            t.check(compiled(args, os.path.join(d, "again-" + after, "net")) == one, f"{name}: compiling on from {f} gives other bytes")
            dumps += 1
        t.check(calibrated and len(files) >= 10, f"{name}: only {len(files)} dumps")
        print(f"{name}: {len(files)} dumps", flush=True)
    print(f"{dumps} dumps compiled")
    t.close()


main()
