/* recipe.h - in which steps blocks of output channels of a layer may be summed: pairs of 16 bits, always; quads of bytes by dot4
 * where the ISA has it, or by maddubs, so many of which are added in 16 bits, where the weights of the block and the codes that
 * come prove that none of these sums leaves 16 bits (ir/sat16.h). */
#ifndef OCT_RECIPE_H
#define OCT_RECIPE_H

#include "dots.h"
#include "shape.h"

/* A recipe is a number: OCT_PAIRS, OCT_DOT4, or how many maddubs are added in 16 bits, a power of two. */
enum { OCT_PAIRS = 0, OCT_RECIPE_MOST = 64 };
struct oct_recipes {
    const struct oct_kbuild *b;
    int32_t lowest, range; /* codes that come: the lowest, and how far above it the others lie */
    bool direct;           /* quads may be read from the image as it is: bytes without sign that lie as scratch would */
    int64_t outputs, rows, length;
    const int8_t *w; /* [output][row][length]: oct_layer_rows */
    uint8_t *most;   /* by output: the most maddubs that may be added; 0: not even one is exact */
};
/* Kept in the arena. */
struct oct_recipes oct_recipes_of(const struct oct_kbuild *b, const struct oct_shape *s, struct oct_arena *a);
/* The i-th recipe of the target; false behind the last. */
bool oct_recipe_at(const struct oct_target *t, int i, int *how);
/* As ways and --explain name it: "b4"; "" for pairs. */
const char *oct_recipe_name(int how, char to[8]);
/* Is it exact for these outputs? */
bool oct_recipe_fits(const struct oct_recipes *r, int how, int64_t first, int64_t outputs);
/* Adds to b->proof what the sums of 16 bits reach in blocks of `block` outputs, and a fallback where some blocks had to be
 * refused. */
void oct_recipe_explain(const struct oct_recipes *r, struct oct_kbuild *b, int how, int64_t block);

#endif
