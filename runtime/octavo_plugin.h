/* octavo_plugin.h - what a shared object gives octavo to choose ranges (--observer-plugin F.so) or to round weights
 * (--rounding-plugin F.so). Each is four functions of plain C; the header needs nothing of octavo's. Built by
 *   cc -shared -fPIC -I DIR_OF_THIS_HEADER mine.c -o mine.so
 * examples/plugin/ has both, complete; docs/plugins.md tells of them. octavo calls from one thread at a time. */
#ifndef OCTAVO_PLUGIN_H
#define OCTAVO_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What octavo_observer_abi and octavo_rounding_abi return: the form of this header. Another number is refused. */
#define OCTAVO_PLUGIN_ABI 1

/* ---- an observer ---- */

/* Bits of octavo_observer_needs; others are refused. 0: counts of the values as they are. */
enum { OCTAVO_NEEDS_MAGNITUDES = 1 /* count |x| instead */, OCTAVO_NEEDS_BATCHES = 2 /* low_mean and high_mean */ };

/* What calibration saw of one value. All of it is the same whatever the order of the data and the number of threads. */
struct octavo_observed {
    const char *name; /* of the value */
    uint64_t total;   /* finite values counted, > 0 */
    double min, max;  /* their extremes (of |x| with OCTAVO_NEEDS_MAGNITUDES) */
    int64_t runs;     /* > 0: count[i] values lie in [lower[i], upper[i]], rising and without overlap */
    const double *lower, *upper, *count;
    int32_t qmin, qmax;         /* the codes that the range is for */
    int symmetric;              /* 1: only the larger magnitude of the two ends will matter */
    double param;               /* rule field act_param; 0: not given */
    double low_mean, high_mean; /* means of the batches' extremes, with OCTAVO_NEEDS_BATCHES */
};
int octavo_observer_abi(void);
/* What rules and --observer call it: a letter, then letters, digits and '_', no name of octavo's own. */
const char *octavo_observer_name(void);
unsigned octavo_observer_needs(void);
/* Writes range[0] <= range[1], both finite. Returns 0; anything else: there is none, and calibration stops. */
int octavo_observer_range(const struct octavo_observed *value, double range[2]);

/* ---- rounding ---- */

/* Bits of octavo_rounding_needs; others are refused. */
enum { OCTAVO_NEEDS_ZERO_AT_ZERO = 1 /* not called for weights with a zero point, which are rounded to the nearest */ };

/* Weights that are to become codes, under scales that are final: w[o * per + i] stands for scale[o] (code - zero[o]). */
struct octavo_weights {
    const char *name;   /* of the op that reads them */
    const float *w;     /* outs * per of them */
    int64_t outs, per;  /* output channels, and weights of each */
    const float *scale; /* of each output channel */
    const int32_t *zero;
    int32_t qmin, qmax; /* the least and greatest code allowed */
};
int octavo_rounding_abi(void);
const char *octavo_rounding_name(void);
unsigned octavo_rounding_needs(void);
/* Fills code[outs * per], each within qmin..qmax. Returns 0; 1: this op's are to be rounded to the nearest; anything else is an
 * error, and quantization stops. */
int octavo_rounding_round(const struct octavo_weights *weights, int32_t *code);

#ifdef __cplusplus
}
#endif
#endif
