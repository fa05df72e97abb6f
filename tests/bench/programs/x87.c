/* SPDX-License-Identifier: MIT */
/* long double, which x86 does on the x87's stack: Newton's square roots, a polynomial, continued fractions. */
#include <string.h>
#include "programs.h"

enum { ROUNDS = 125000 };

uint64_t run_x87(void)
{
	uint64_t sum = 0, bits;

	for (int round = 1; round <= ROUNDS; round++) {
		long double n = round, root = n, fraction = n, power = 0;

		for (int i = 0; i < 12; i++)
			root = (root + n / root) / 2;
		for (int i = 10; i > 0; i--) {
			fraction = i / (fraction + 1);
			power = (power + i) * root;
		}
		root = root + fraction * power;
		memcpy(&bits, &root, sizeof bits); /* of the mantissa, all */
		sum = mix(sum, bits);
	}
	return sum;
}
