/* SPDX-License-Identifier: MIT */
/* Heapsort and merge sort of the same numbers. */
#include <stdlib.h>
#include <string.h>
#include "programs.h"

enum { SIZE = 100000, ROUNDS = 7 };

static uint32_t a[SIZE], b[SIZE], spare[SIZE];

static void sift(uint32_t *heap, int top, int end)
{
	uint32_t value = heap[top];

	for (int child; (child = 2 * top + 1) < end; top = child) {
		if (child + 1 < end && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= value)
			break;
		heap[top] = heap[child];
	}
	heap[top] = value;
}

static void heap_sort(uint32_t *values, int n)
{
	for (int i = n / 2; i-- > 0;)
		sift(values, i, n);
	for (int end = n; end-- > 1;) {
		uint32_t greatest = values[0];

		values[0] = values[end];
		values[end] = greatest;
		sift(values, 0, end);
	}
}

static void merge_sort(uint32_t *values, int n)
{
	int half = n / 2, i = 0, j = half;

	if (n < 2)
		return;
	merge_sort(values, half);
	merge_sort(values + half, n - half);
	memcpy(spare, values, (size_t)half * sizeof *values);
	for (int k = 0; i < half; k++)
		values[k] = j == n || spare[i] <= values[j] ? spare[i++] : values[j++];
}

uint64_t run_sort(void)
{
	uint64_t sum = 0, seed = 1;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SIZE; i++)
			a[i] = b[i] = (uint32_t)next_random(&seed);
		heap_sort(a, SIZE);
		merge_sort(b, SIZE);
		for (int i = 0; i < SIZE; i++)
			sum = mix(sum, a[i] - 2ull * b[i]);
	}
	return sum;
}
