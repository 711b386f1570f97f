/* observer_aciq.c - clipping that is best for values of a Laplace or a normal distribution (NUMERICS 4): alpha b beyond the mean,
 * b = E|x - mean|, or alpha std, alpha by the number of bits. The distribution is the likelier one of the two, each fitted:
 * Laplace where b < sqrt(pi / 2e) std; a number of 1 wants Laplace, 2 normal. Values of one sign have the codes of both signs for
 * themselves, and take the alpha of one bit more. Moments are those of the histogram's bins, values uniform in each. */
#include <math.h>

#include "mass.h"

enum { LIKELIER, LAPLACE, NORMAL };
enum { LEAST_BITS = 2, MOST_BITS = 17 };
/* From 9 bits on: where the derivative of the expected error, clipping and rounding, is 0. */
static const double laplace[] = {2.83,  3.89,  5.03,  6.2,   7.41,  8.64,  9.89,  11.16,
                                 12.44, 13.73, 15.02, 16.33, 17.64, 18.95, 20.27, 21.59},
                    normal[] = {1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92, 4.22, 4.49, 4.76, 5.01, 5.26, 5.49, 5.72, 5.94, 6.15};

bool oct_observe_aciq(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, false);
    const bool one_sided = m.min >= 0 || m.max <= 0;
    const double mean = oct_mass_mean(&m), b = oct_mass_deviation(&m, mean), std = sqrt(oct_mass_variance(&m, mean));
    const double bits = ceil(log2(oct_codes_of(o))) + (one_sided && !oct_is_symmetric(o));
    const int row = (int)fmin(fmax(bits, LEAST_BITS), MOST_BITS) - LEAST_BITS, wanted = (int)o->param;
    const bool is_laplace = wanted == LAPLACE || (wanted != NORMAL && b < 0.76017345053314075 * std);
    const double reach = is_laplace ? laplace[row] * b : normal[row] * std;
    if (oct_is_symmetric(o)) oct_clamp_range(&m, -fabs(mean) - reach, fabs(mean) + reach, range);
    else oct_clamp_range(&m, mean - reach, mean + reach, range);
    return true;
}
