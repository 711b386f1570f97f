/* interp.h - the reference interpreter: the meaning of every op, bit for bit. Results never depend on the machine, on the
 * number of threads or on how inputs were batched.
 *
 * Float: IEEE binary32, multiply then add, order kh, kw, ci, padded taps skipped; exp and tanh of ir/fmath.c. Integer: exact
 * (64-bit sums, 128-bit requantization). It shares no arithmetic with the back ends: it is their oracle. */
#ifndef OCT_INTERP_H
#define OCT_INTERP_H

#include "ir.h"

/* A tensor in memory: type with N bound to a number, row-major data. */
struct oct_tensor {
    struct oct_type type;
    void *data;
};
static inline int64_t oct_tensor_elements(const struct oct_tensor *t) { return oct_type_elements(&t->type, 1); }

/* An instance of a module for one batch size: buffers, pre-packed weights. Not shared between threads; several instances of one
 * module may run at once. */
struct oct_exec;
/* NULL with a diagnostic when a value would exceed OCT_MAX_ELEMENTS. batch: what N means. */
struct oct_exec *oct_exec_new(struct oct_ctx *cx, const struct oct_module *m, int64_t batch);
void oct_exec_free(struct oct_exec *ex);
/* The buffer of an input (write it before oct_exec_run) or, after it, of any value the module still holds. All values stay
 * readable until the next run when keep_all was set, otherwise only outputs do. */
struct oct_tensor *oct_exec_value(struct oct_exec *ex, const struct oct_node *n);
void oct_exec_keep_all(struct oct_exec *ex, bool keep);
/* Called with each value as it is computed. */
typedef void oct_visit_fn(void *user, const struct oct_node *n, const struct oct_tensor *value);
void oct_exec_run(struct oct_exec *ex, oct_visit_fn *visit, void *user);
/* Makes an instance ready to run on another thread: after it nothing allocates. */
void oct_exec_place(struct oct_exec *ex);
/* Another instance of the same module and batch, sharing what was prepared (so it must go before the first); not yet placed. */
struct oct_exec *oct_exec_clone(const struct oct_exec *from);

/* Calls work for pieces 0 .. n-1, spread over the threads of the context: worker is 0 .. oct_workers()-1, and no two calls with
 * one of them overlap. The order is none; the work allocates nothing and reports nothing. */
typedef void oct_piece_fn(void *user, unsigned worker, int64_t piece);
unsigned oct_workers(const struct oct_ctx *cx, int64_t n);
void oct_share(struct oct_ctx *cx, int64_t n, oct_piece_fn *work, void *user);

/* Runs a module over a data set: samples along axis 0 of each input's data, which has been converted to the input's dtype
 * (oct_data_fit of frontend/data.h). Splits samples over cx->threads workers; a module with N takes chunks, one with a fixed
 * batch of 1 takes sample after sample. `each` sees every value of every chunk, `first` being the index of its first sample; it
 * may be called from several threads at once, `worker` telling which (0 .. threads-1). Returns false after a diagnostic. */
typedef void oct_each_fn(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *value);
/* Fills `to` with what one run takes, in the input's dtype; from any thread, several at once. */
typedef void oct_read_fn(const void *source, int64_t run, void *to);
struct oct_input_data {
    const struct oct_node *input;
    const void *data;  /* samples x elements of one sample, in the input's dtype; NULL: only `read` has them */
    oct_read_fn *read; /* NULL: a copy out of data */
    const void *source;
};
void oct_input_read(const struct oct_input_data *in, int64_t run, void *to);
/* Bytes that one run takes. */
size_t oct_input_bytes(const struct oct_input_data *in);
/* Writes the inputs of one run, the run-th of the data set. */
void oct_exec_feed(struct oct_exec *ex, const struct oct_input_data *in, uint32_t nin, int64_t run);
/* What axis 0 of an input takes in one run: its fixed batch, 1 where it is N or there is no axis. */
int64_t oct_input_batch(const struct oct_type *t);
/* Samples that one run takes: the batch that the inputs share. Where they differ (the two sides of a matrix product) a run is one
 * sample, and each input's data hold samples times its own batch rows. */
int64_t oct_dataset_chunk(const struct oct_input_data *in, uint32_t nin);
bool oct_run_dataset(struct oct_ctx *cx, const struct oct_module *m, const struct oct_input_data *in, uint32_t nin,
                     int64_t samples, oct_each_fn *each, void *user);

/* ---- rounding profiles (requant.c): pure functions, the twins of the independent oracle in the tests ---------------------- */

/* A real multiplier M = multiplier * 2^(exponent - 31) for q31 and tflm, its fp32 form for onnx, a shift for pot. */
struct oct_requant {
    enum oct_profile profile;
    int32_t multiplier; /* q31, tflm: 0 or in [2^30, 2^31) */
    int exponent;       /* q31, tflm; pot: M = 2^exponent */
    float scale;        /* onnx */
};
/* From the scales, as each profile forms M (NUMERICS 5). false: M >= 2^30, or pot with an M that is no power of two. */
bool oct_requant_from_scales(enum oct_profile p, float s_in, float s_w, float s_out, struct oct_requant *r);
bool oct_requant_from_real(enum oct_profile p, double m, struct oct_requant *r);
/* The same for conv2d, dense and matmul on operand codes of type x: tflm has a form of its own for 16-bit ones (docs/numerics.md
 * 2). */
bool oct_requant_linear(enum oct_profile p, enum oct_dtype x, float s_in, float s_w, float s_out, struct oct_requant *r);
/* round(acc * M) under the profile, not clamped to the result type (onnx clamps to int32 first), zero point not added. */
int64_t oct_requant_apply(const struct oct_requant *r, int64_t acc);
/* Sums to codes: requantized, zero point added, clamped. The function takes one of these as its user data (ir/steps.h). */
struct oct_requant_codes {
    struct oct_requant r;
    int32_t zero, lo, hi;
};
int32_t oct_requant_code(const void *codes, int64_t acc);
/* One float to a code, and a code to float: NUMERICS 1. NaN gives zero. */
int32_t oct_quantize1(float x, float scale, int32_t zero, int32_t qmin, int32_t qmax, enum oct_divide d, enum oct_order o);
float oct_dequantize1(int32_t q, float scale, int32_t zero);

/* Parameters of u8 codes by the range of n floats at run time (docs/numerics.md 10), and a float as such a code less the zero
 * point. */
struct oct_dynamic {
    float scale;
    int32_t zero;
};
struct oct_dynamic oct_dynamic_of(const float *x, int64_t n);
static inline int32_t oct_dynamic_term(struct oct_dynamic d, float x) {
    return oct_quantize1(x, d.scale, d.zero, 0, 255, OCT_divide_div, OCT_order_before) - d.zero;
}

/* Softmax of 8-bit codes, profile q31: e^(-scale d) as RNE(2^23 e^...), d = 0 .. 255 (docs/numerics.md 4.3). */
void oct_softmax_table(float scale, uint32_t table[256]);

/* Float functions, the same bits everywhere (fmath.c); error bounds in docs/numerics.md. */
float oct_expf(float x);
float oct_tanhf(float x);
float oct_logf(float x);
float oct_sigmoidf(float x);
float oct_erff(float x);
float oct_expm1f(float x);    /* e^x - 1 for x <= 0 */
float oct_softplusf(float x); /* log(1 + e^x) */
float oct_roundf(float x);
/* Coefficients of oct_erff, of the highest power first, for emitted code. */
enum { OCT_ERF_SMALL = 8, OCT_ERF_TAIL = 8 };
extern const float oct_erf_small[OCT_ERF_SMALL], oct_erf_tail[OCT_ERF_TAIL];

#endif
