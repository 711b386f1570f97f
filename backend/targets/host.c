/* host.c - which row of targets.def this machine is: the one with most of what its processor says it has. */
#include "../backend.h"

#if defined __aarch64__ && defined __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

const char *oct_target_host(void) {
#if defined __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return "c99";
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512cd"))
        return "x86-64-v3";
    return __builtin_cpu_supports("avx512vnni") ? "x86-64-v4-vnni" : "x86-64-v4";
#elif defined __aarch64__ && defined __linux__
    const unsigned long dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP, i8mm = getauxval(AT_HWCAP2) & HWCAP2_I8MM;
    return dot && i8mm ? "aarch64-i8mm" : dot ? "aarch64-dotprod" : "aarch64";
#else
    return "c99";
#endif
}
