/* SPDX-License-Identifier: MIT */
/* The greatest singular value of the matrix 1 / ((i + j)(i + j + 1) / 2 + i + 1): divisions and conversions. */
#include <string.h>
#include "programs.h"

enum { SIZE = 250, ROUNDS = 80 };

static double element(int i, int j)
{
	return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void multiply(double *result, const double *v, int transposed)
{
	for (int i = 0; i < SIZE; i++) {
		result[i] = 0;
		for (int j = 0; j < SIZE; j++)
			result[i] += (transposed ? element(j, i) : element(i, j)) * v[j];
	}
}

uint64_t run_spectral(void)
{
	double u[SIZE], v[SIZE], t[SIZE], uv = 0, vv = 0;
	uint64_t bits;

	for (int i = 0; i < SIZE; i++)
		u[i] = 1;
	for (int round = 0; round < ROUNDS; round++) {
		multiply(t, u, 0);
		multiply(v, t, 1);
		multiply(t, v, 0);
		multiply(u, t, 1);
	}
	for (int i = 0; i < SIZE; i++) {
		uv += u[i] * v[i];
		vv += v[i] * v[i];
	}
	uv = __builtin_sqrt(uv / vv);
	memcpy(&bits, &uv, sizeof bits);
	return bits;
}
