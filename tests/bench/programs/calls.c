/* SPDX-License-Identifier: MIT */
/* Calls through pointers: shapes with a table of functions each, in an order that nobody predicts. */
#include "programs.h"

enum { SHAPES = 1000, ROUNDS = 6000 };

struct shape {
	const struct functions *functions;
	uint32_t a, b;
};

static const struct functions {
	uint32_t (*area)(const struct shape *s);
	void (*grow)(struct shape *s, uint32_t by);
} rectangle, triangle, ring;

static uint32_t rectangle_area(const struct shape *s)
{
	return s->a * s->b;
}

static uint32_t triangle_area(const struct shape *s)
{
	return s->a * s->b / 2;
}

static uint32_t ring_area(const struct shape *s)
{
	return 3 * (s->a * s->a - s->b * s->b);
}

static void grow_both(struct shape *s, uint32_t by)
{
	s->a += by;
	s->b += by;
}

static void grow_outside(struct shape *s, uint32_t by)
{
	s->a += s->a < 10000 ? by : -s->b;
}

static const struct functions rectangle = { rectangle_area, grow_both };
static const struct functions triangle = { triangle_area, grow_outside };
static const struct functions ring = { ring_area, grow_outside };

static struct shape shapes[SHAPES];

uint64_t run_calls(void)
{
	const struct functions *const kinds[] = { &rectangle, &triangle, &ring };
	uint64_t sum = 0, seed = 16;

	for (int i = 0; i < SHAPES; i++)
		shapes[i] = (struct shape){ kinds[next_random(&seed) % 3], (uint32_t)i, 5 };
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SHAPES; i++) {
			struct shape *s = &shapes[i];

			sum += s->functions->area(s);
			s->functions->grow(s, (uint32_t)(i + round) & 7);
		}
		sum = mix(sum, (unsigned)round);
	}
	return sum;
}
