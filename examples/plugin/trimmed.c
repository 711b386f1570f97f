/* trimmed.c - an observer of one's own: the range that leaves out the outermost runs of the histogram as long as they hold fewer
 * than act_param values (3) in all on that side. */
#include "octavo_plugin.h"

int octavo_observer_abi(void) { return OCTAVO_PLUGIN_ABI; }
const char *octavo_observer_name(void) { return "trimmed"; }
unsigned octavo_observer_needs(void) { return 0; }

int octavo_observer_range(const struct octavo_observed *value, double range[2]) {
    const double spare = value->param > 0 ? value->param : 3;
    int64_t first = 0, last = value->runs - 1;
    for (double out = value->count[first]; first < last && out < spare; out += value->count[first]) first++;
    for (double out = value->count[last]; last > first && out < spare; out += value->count[last]) last--;
    range[0] = value->lower[first];
    range[1] = value->upper[last];
    return 0;
}
