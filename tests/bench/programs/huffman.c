/* SPDX-License-Identifier: MIT */
/* Huffman's code of a text: trees, then bits out and bits in. */
#include <string.h>
#include "programs.h"

enum { SIZE = 200000, SYMBOLS = 64, ROUNDS = 20 };

static uint8_t data[SIZE], packed[SIZE * 2];
static struct node {
	unsigned weight;
	int left, right;
} nodes[2 * SYMBOLS];
static uint64_t codes[SYMBOLS];
static int lengths[SYMBOLS];

static void number(int node, uint64_t code, int length)
{
	if (nodes[node].left < 0) {
		codes[node] = code;
		lengths[node] = length;
		return;
	}
	number(nodes[node].left, code << 1, length + 1);
	number(nodes[node].right, code << 1 | 1, length + 1);
}

/* The lightest node that has no parent yet; it is taken. */
static int lightest(uint8_t *taken, int count)
{
	int best = -1;

	for (int i = 0; i < count; i++)
		if (!taken[i] && (best < 0 || nodes[i].weight < nodes[best].weight))
			best = i;
	taken[best] = 1;
	return best;
}

static int make_tree(void)
{
	uint8_t taken[2 * SYMBOLS] = { 0 };
	int count = SYMBOLS;

	for (int i = 0; i < SYMBOLS; i++)
		nodes[i] = (struct node){ 1, -1, -1 };
	for (int i = 0; i < SIZE; i++)
		nodes[data[i]].weight++;
	for (; count < 2 * SYMBOLS - 1; count++) {
		int a = lightest(taken, count), b = lightest(taken, count);

		nodes[count] = (struct node){ nodes[a].weight + nodes[b].weight, a, b };
	}
	number(count - 1, 0, 0);
	return count - 1;
}

uint64_t run_huffman(void)
{
	uint64_t sum = 0, seed = 10;

	for (int round = 0; round < ROUNDS; round++) {
		size_t bits = 0, at = 0;
		int root, wrong = 0;

		for (int i = 0; i < SIZE; i++) {
			uint64_t r = next_random(&seed);

			data[i] = (uint8_t)((r & r >> 6 & r >> 12) % SYMBOLS);
		}
		root = make_tree();
		memset(packed, 0, sizeof packed);
		for (int i = 0; i < SIZE; i++)
			for (int k = lengths[data[i]]; k-- > 0; bits++)
				packed[bits / 8] |= (uint8_t)((codes[data[i]] >> k & 1) << bits % 8);
		for (int i = 0; i < SIZE; i++) {
			int node = root;

			while (nodes[node].left >= 0) {
				node = packed[at / 8] >> at % 8 & 1 ? nodes[node].right : nodes[node].left;
				at++;
			}
			wrong += node != data[i];
		}
		sum = mix(sum, bits + (unsigned)wrong);
	}
	return sum;
}
