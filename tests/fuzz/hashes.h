/* SPDX-License-Identifier: MIT */
/* The state of a machine, part by part, to tell in which of them two states differ. */
#ifndef HASHES_H
#define HASHES_H

#include "lib/machine.h"
#include "tests/fuzz/fuzz.h"

struct hashes { u64 hash[PARTS_MAX + 2]; unsigned n, wrong; };

static inline void hashes_keep(void *user, const char *part, uint64_t hash)
{
	struct hashes *h = user;

	(void)part;
	h->hash[h->n++] = hash;
}

static inline void hashes_compare(void *user, const char *part, uint64_t hash)
{
	struct hashes *h = user;

	if (h->hash[h->n++] == hash)
		return;
	fprintf(stderr, "%s is another\n", part);
	h->wrong++;
}

static inline void hashes_take(struct hashes *h, const vcpu *v)
{
	h->n = h->wrong = 0;
	vcpu_state_parts(v, hashes_keep, h);
}

/* Ends the process, having said in which parts, if V is not in the state of which H was taken; HOW it should have come
 * to it. */
static inline void hashes_check(struct hashes *h, const vcpu *v, const char *how)
{
	h->n = h->wrong = 0;
	vcpu_state_parts(v, hashes_compare, h);
	if (h->wrong)
		fuzz_fail("%s, the state is another, at instruction %llu, %llu ns", how,
			(unsigned long long)vcpu_instructions(v),
			(unsigned long long)vcpu_virtual_ns(v));
}

static inline void hashes_save_and_load(vcpu *v)
{
	struct hashes before;
	char *error = NULL;
	void *data;
	size_t len;

	hashes_take(&before, v);
	if (!vcpu_save(v, &data, &len, &error) || !vcpu_load(v, data, len, &error))
		fuzz_fail("saved and loaded: %s", error);
	free(data);
	hashes_check(&before, v, "saved and loaded");
}

#endif
