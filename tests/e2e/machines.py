"""Where programs of tests run: this machine, 32- and 64-bit Arm Linux under qemu-user, Cortex-M boards under qemu-system-arm. A missing
compiler or emulator ends the test as failed: scripts/setup.sh --tests installs them."""
import dataclasses, os, re, shutil, subprocess, sys
from common import source

CORTEX_M = os.path.join(source, "examples", "cortex-m")


@dataclasses.dataclass(frozen=True)
class Machine:
    target: str      # octavo's name for it
    cc: str          # its C compiler, with the arguments that choose the processor
    link: tuple      # what a program needs beside its own files
    emulator: tuple  # what runs one; empty: the machine itself
    seconds: int = 300

    def need(self):
        for program in self.cc.split()[0], *self.emulator[:1]:
            if not shutil.which(program):
                sys.exit(f"{program} is missing: scripts/setup.sh --tests")

    def build(self, program, *files, flags=()):
        """Compiles and links C, assembler and objects; False and what the compiler said, where it refuses."""
        p = subprocess.run([*self.cc.split(), "-std=c11", "-O2", *flags, *self.link, *files, "-o", program], capture_output=True, text=True)
        return p.returncode == 0, p.stderr[-2000:]

    def run(self, program):
        """Exit code and what was printed."""
        try:
            p = subprocess.run([*self.emulator, program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=self.seconds)
            return p.returncode, p.stdout + p.stderr
        except subprocess.TimeoutExpired:
            return None, f"still running after {self.seconds} s"


def board(qemu_name, cpu, script, abi="hard"):
    """A board of examples/cortex-m; its text and its exit code come by semihosting."""
    return Machine(cpu, f"arm-none-eabi-gcc -mcpu={cpu} -mthumb -mfloat-abi={abi}",
                   ("-nostartfiles", "-L", CORTEX_M, "-T", f"{CORTEX_M}/{script}.ld", "-Wl,--gc-sections,-z,noexecstack", f"{CORTEX_M}/board.c"),
                   ("qemu-system-arm", "-M", qemu_name, "-display", "none", "-monitor", "none", "-serial", "none", "-chardev", "stdio,id=text",
                    "-semihosting-config", "enable=on,chardev=text", "-kernel"))


with open("/proc/cpuinfo") as f:
    CPU_FLAGS = set(re.search(r"^flags\s*:(.*)", f.read(), re.M)[1].split())  # what this machine's processor has
HOST = Machine("host", "gcc", (), ())
AARCH64 = Machine("aarch64", "aarch64-linux-gnu-gcc", ("-static",), ("qemu-aarch64",))
ARMHF = Machine("armv7", "arm-linux-gnueabihf-gcc -mfpu=neon", ("-static",), ("qemu-arm",))
# No emulated board with a Cortex-M0+ has the memory; a Cortex-M3 executes all its instructions.
M0PLUS = board("mps2-an385", "cortex-m0plus", "an386", abi="soft")
M4, M7 = board("mps2-an386", "cortex-m4", "an386"), board("mps2-an500", "cortex-m7", "an500")
M33, M55 = board("mps2-an505", "cortex-m33", "an505"), board("mps3-an547", "cortex-m55", "an547")
BOARDS = M0PLUS, M4, M7, M33, M55
