/* SPDX-License-Identifier: MIT */
/* Bodies that attract each other: additions, multiplications, divisions and square roots of double, one at a time. */
#include <string.h>
#include "programs.h"

enum { BODIES = 5, STEPS = 120000 };

static struct body {
	double x[3], v[3], mass;
} bodies[BODIES];

static void step(double dt)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) {
			double d[3], square = 0.01, pull;

			for (int k = 0; k < 3; k++) {
				d[k] = bodies[i].x[k] - bodies[j].x[k];
				square += d[k] * d[k];
			}
			pull = dt / (square * __builtin_sqrt(square));
			for (int k = 0; k < 3; k++) {
				bodies[i].v[k] -= d[k] * bodies[j].mass * pull;
				bodies[j].v[k] += d[k] * bodies[i].mass * pull;
			}
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			bodies[i].x[k] += dt * bodies[i].v[k];
}

uint64_t run_nbody(void)
{
	uint64_t sum = 0, seed = 11, bits;

	for (int i = 0; i < BODIES; i++) {
		bodies[i].mass = i ? 0.01 * i : 40;
		for (int k = 0; k < 3; k++) {
			bodies[i].x[k] = (double)(next_random(&seed) % 1000) / 50;
			bodies[i].v[k] = (double)(next_random(&seed) % 1000) / 1000;
		}
	}
	for (int i = 0; i < STEPS; i++)
		step(0.001);
	for (int i = 0; i < BODIES; i++) {
		memcpy(&bits, &bodies[i].x[0], sizeof bits);
		sum = mix(sum, bits);
	}
	return sum;
}
