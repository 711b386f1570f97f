/* certificate.h - what `compile --certify` states about a compiled model, and `check --certificate` holds against a model and a
 * build. NAME.cert is lines of text (docs/command.md); everything in it is text here too: checking is making the certificate anew
 * and comparing item by item. Digests are XXH3-128, 32 hex digits. */
#ifndef DRV_CERTIFICATE_H
#define DRV_CERTIFICATE_H

#include "cc.h"

/* The vectors that a layer's checksums are over: VECTORS(name, its word). */
#define DRV_VECTORS                                                                                                              \
    VECTORS(MIN, "min")                                                                                                          \
    VECTORS(MAX, "max") VECTORS(ZERO, "zero") VECTORS(ALTERNATING, "alternating") VECTORS(RANDOM, "random") VECTORS(DATA, "dat"  \
                                                                                                                          "a")
enum drv_vectors {
#define VECTORS(name, word) DRV_VECTORS_##name,
    DRV_VECTORS
#undef VECTORS
        DRV_VECTORS_COUNT
};
extern const char *const drv_vectors_word[DRV_VECTORS_COUNT];

struct drv_cert_layer {
    const char *name, *op;
    const char *constants;              /* digest of its weights and of all scales and zero points; NULL: it has none */
    const char *sum[DRV_VECTORS_COUNT]; /* digests of its values; NULL: there are no such vectors */
};
struct drv_cert_file {
    const char *name;
    const char *digest;
    const char *code; /* digest of its code sections; NULL: it has none */
};
/* The lines that stand once, in order: LINE(field, key). */
#define DRV_CERT_LINES                                                                                                           \
    LINE(made_by, "made-by")     /* octavo and its version */                                                                    \
    LINE(name, "name")           /* of the files, without suffix */                                                              \
    LINE(model, "model")         /* its own name */                                                                              \
    LINE(profiles, "profiles")   /* rounding profiles of its layers */                                                           \
    LINE(text, "text")           /* digest of the model as it is compiled, printed */                                            \
    LINE(weights, "weights")     /* digest of what the text leaves to a weights file */                                          \
    LINE(target, "target")       /* name, triple, CPU and features */                                                            \
    LINE(toolchain, "toolchain") /* what made the machine code */                                                                \
    LINE(cflags, "cflags")                                                                                                       \
    LINE(random, "random")     /* "COUNT seed SEED" */                                                                           \
    LINE(data, "data")         /* "COUNT DIGEST" of runs on data; "none" */                                                      \
    LINE(executed, "executed") /* what ran of the build and where; "no: " and why */
struct drv_cert {
#define LINE(field, key) const char *field;
    DRV_CERT_LINES
#undef LINE
    const char *option[DRV_OPTION_COUNT]; /* of drv_cert_options: value as on the command line; NULL: not given */
    struct drv_cert_layer *layer;
    struct drv_cert_file *file;
    int nlayers, nfiles;
};

/* certificate.c: as text, and back. Reading is of hostile bytes; an error is exit 65. */
extern const enum drv_option drv_cert_options[]; /* what decides about the output; DRV_OPTION_COUNT ends it */
void drv_cert_print(struct oct_text *out, const struct drv_cert *c);
bool drv_cert_read(struct drv *d, const char *path, struct drv_cert *out);

/* The vectors, and what the interpreter makes of them: bytes of the inputs and outputs of each run, as NAME_run takes them. */
struct drv_trial {
    const struct oct_module *m;
    int64_t runs;
    const char **label; /* of each run */
    struct oct_text in, out;
};
/* What compile certified, for check. */
struct drv_certified {
    struct oct_compile_options opt;
    struct drv_cert cert;
    struct drv_trial trial;
};
/* certify.c: a certificate of what compile made (d->made), but for `executed`. `m` is the model that was compiled. */
bool drv_certify(struct drv *d, struct oct_module *m, const struct oct_compile_options *opt, struct drv_cert *c,
                 struct drv_trial *trial);
const char *drv_digest(struct oct_arena *a, const void *data, size_t len);
/* Of the code sections of an object or of the objects in a library; NULL where there are none (code.c). */
const char *drv_code_digest(struct oct_arena *a, const void *data, size_t len);

/* check_certificate.c: octavo check with --certificate. */
bool drv_check_certificate(struct drv *d);

/* Does the file with this suffix hold what a linker takes? */
bool drv_is_code(const char *suffix);
/* trial.c: builds a program around the files, runs it on the vectors, on this machine or in an emulator of the target, and
 * compares outputs. *what says what ran, or "no: " and why nothing did. False: an output differs or the program does not end well
 * (*fault). */
bool drv_trial_run(struct drv *d, const struct oct_compile_options *opt, const struct drv_file *file, int nfiles,
                   const struct drv_trial *trial, const char **what, const char **fault);

#endif
