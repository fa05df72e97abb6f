/* SPDX-License-Identifier: MIT */
/* Binary trees that are allocated, walked and freed. */
#include <stdlib.h>
#include "programs.h"

enum { DEPTH = 14, ROUNDS = 48 };

struct node {
	struct node *left, *right;
};

static struct node *grow(int depth)
{
	struct node *n = malloc(sizeof *n);

	n->left = depth ? grow(depth - 1) : NULL;
	n->right = depth ? grow(depth - 1) : NULL;
	return n;
}

static unsigned count(const struct node *n)
{
	return n ? 1 + count(n->left) + count(n->right) : 0;
}

static void fell(struct node *n)
{
	if (!n)
		return;
	fell(n->left);
	fell(n->right);
	free(n);
}

uint64_t run_trees(void)
{
	uint64_t sum = 0;
	struct node *old = grow(DEPTH);

	for (int round = 0; round < ROUNDS; round++) {
		struct node *tree = grow(DEPTH - round % 3);

		sum = mix(sum, count(tree));
		fell(round & 1 ? tree : old);
		if (!(round & 1))
			old = tree;
	}
	fell(old);
	return sum;
}
