/* host.c - which row of targets.def this machine is: the one with most of what its processor says it has. */
#include "../backend.h"

#include <string.h>

#if defined __x86_64__
#include <cpuid.h>
#endif

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

const char *oct_host_cpu(struct oct_arena *a) {
    char text[49] = "a processor without a name";
#if defined __x86_64__
    unsigned word[12], highest = __get_cpuid_max(0x80000000u, NULL);
    for (unsigned i = 0; i < 3 && highest >= 0x80000004u; i++)
        __get_cpuid(0x80000002u + i, &word[4 * i], &word[4 * i + 1], &word[4 * i + 2], &word[4 * i + 3]);
    if (highest >= 0x80000004u) memcpy(text, word, sizeof word);
    text[48] = 0;
#endif
    char *name = oct_strdup(a, text + strspn(text, " "));
    for (char *c = name; *c; c++)
        if (*c < 33 || *c > 126) *c = ' ';
    for (size_t n = strlen(name); n && name[n - 1] == ' ';) name[--n] = 0;
    return name;
}
