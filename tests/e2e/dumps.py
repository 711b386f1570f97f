"""Every dump is a model: for each pass and each float model, one dump and its constants in an empty folder give, run on from there,
the same bytes as the run that made it. --data only where the dump lies before calibrate; without it for all behind."""
import glob, os, shutil
from common import *

need_shared()
tally = Tally()
for name, (calibration, _, _) in FLOAT_MODELS.items():
    root = os.path.join(out, name)
    shutil.rmtree(root, ignore_errors=True)
    one, dumps = folder(name, "one"), os.path.join(root, "dumps")
    run("opt", model(name), "--data", data(calibration), "--dump-after", "all", "--dump-dir", dumps, "-o", os.path.join(one, "m.8vo"))
    calibrated = False
    for dump in sorted(glob.glob(os.path.join(dumps, "*.8vo"))):
        label = os.path.basename(dump)[3:-4]
        calibrated |= label == "calibrate"
        alone, there = folder(name, "alone", label), folder(name, "there", label)
        for file in (dump, os.path.join(dumps, "store.safetensors")):
            shutil.copy(file, alone)
        run("opt", os.path.join(alone, os.path.basename(dump)), *([] if calibrated else ["--data", data(calibration)]), "-o",
            os.path.join(there, "m.8vo"))
        for file in ("m.8vo", "m.safetensors"):
            tally.check(read(os.path.join(one, file)) == read(os.path.join(there, file)), f"{name}, on from {label}: {file} is the same")
    shutil.rmtree(root)
tally.close()
