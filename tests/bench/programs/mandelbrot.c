/* SPDX-License-Identifier: MIT */
/* The Mandelbrot set: chains of multiplications and comparisons of double. */
#include "programs.h"

enum { SIZE = 400, LIMIT = 250 };

uint64_t run_mandelbrot(void)
{
	uint64_t sum = 0;

	for (int row = 0; row < SIZE; row++)
		for (int column = 0; column < SIZE; column++) {
			double a = 3.0 * column / SIZE - 2.0, b = 2.5 * row / SIZE - 1.25, x = 0, y = 0;
			unsigned n = 0;

			while (n < LIMIT && x * x + y * y <= 4) {
				double next = x * x - y * y + a;

				y = 2 * x * y + b;
				x = next;
				n++;
			}
			sum = mix(sum, n);
		}
	return sum;
}
