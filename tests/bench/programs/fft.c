/* SPDX-License-Identifier: MIT */
/* Fourier transforms to and fro, of complex numbers of double. */
#include <string.h>
#include "programs.h"

enum { BITS = 12, SIZE = 1 << BITS, ROUNDS = 72 };

struct complex {
	double re, im;
};

static struct complex values[SIZE], roots[SIZE / 2];

static struct complex times(struct complex a, struct complex b)
{
	return (struct complex){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}

/* roots[i] = exp(2 pi sqrt(-1) i / SIZE): each second one from those before, the others by halving the angle. */
static void make_roots(void)
{
	double c = -1, s = 0; /* of the angle 2 pi / (SIZE / step) */

	roots[0] = (struct complex){ 1, 0 };
	for (int step = SIZE / 4; step; step /= 2) {
		s = __builtin_sqrt((1 - c) / 2);
		c = step == SIZE / 4 ? 0 : __builtin_sqrt((1 + c) / 2);
		for (int i = step; i < SIZE / 2; i += 2 * step)
			roots[i] = times(roots[i - step], (struct complex){ c, s });
	}
}

static void transform(int back)
{
	for (unsigned i = 0, j = 0; i < SIZE; i++) {
		unsigned bit = SIZE / 2;

		if (i < j) {
			struct complex t = values[i];

			values[i] = values[j];
			values[j] = t;
		}
		while (bit && j & bit) {
			j ^= bit;
			bit /= 2;
		}
		j |= bit;
	}
	for (int half = 1; half < SIZE; half *= 2)
		for (int start = 0; start < SIZE; start += 2 * half)
			for (int k = 0; k < half; k++) {
				struct complex w = roots[k * (SIZE / 2 / half)], t;
				struct complex *a = &values[start + k], *b = a + half;

				if (back)
					w.im = -w.im;
				t = times(*b, w);
				*b = (struct complex){ a->re - t.re, a->im - t.im };
				*a = (struct complex){ a->re + t.re, a->im + t.im };
			}
	for (int i = 0; back && i < SIZE; i++) {
		values[i].re /= SIZE;
		values[i].im /= SIZE;
	}
}

uint64_t run_fft(void)
{
	uint64_t sum = 0, seed = 12, bits;

	make_roots();
	for (int i = 0; i < SIZE; i++)
		values[i] = (struct complex){ (double)(next_random(&seed) % 1000), 0 };
	for (int round = 0; round < ROUNDS; round++) {
		transform(0);
		memcpy(&bits, &values[round].re, sizeof bits);
		sum = mix(sum, bits);
		transform(1);
	}
	for (int i = 0; i < SIZE; i++)
		sum = mix(sum, (uint64_t)(values[i].re * 16 + 0.5));
	return sum;
}
