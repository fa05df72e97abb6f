/* SPDX-License-Identifier: MIT */
/* Numbers of modes: a table of the modes that the machine has been in. Blocks and jumps are found by the number, so a
 * mode can have many bits. If the guest uses more modes than the table holds, the table and all blocks are
 * discarded. */
#include "cpu/cpu.h"

/* Numbers begin at 1: an empty entry of the jump cache has a key that no canonical address then has. */
static u16 number_of(struct cpus *all, u64 mode)
{
	u16 *guess = &all->mode_guess[mode * 0x9e3779b97f4a7c15 >> 56];

	if (likely(all->modes[*guess] == mode && *guess))
		return *guess;
	for (unsigned i = 1; i <= all->nmodes; i++)
		if (all->modes[i] == mode)
			return *guess = (u16)i;
	if (all->nmodes == all->modes_max)
		return 0;
	all->modes[++all->nmodes] = mode;
	return *guess = (u16)all->nmodes;
}

static bool set_key(struct cpu *c)
{
	c->mode_number = number_of(c->all, c->mode);
	c->mode_key = mode_key(c->mode_number);
	return c->mode_number;
}

void mode_changed(struct cpu *c)
{
	if (likely(set_key(c)))
		return;
	blocks_flush(c); /* the running block stays in memory until the next one is built */
	c->all->nmodes = 0;
	for (unsigned i = 0; i < c->all->count; i++) {
		set_key(c->all->cpu[i]);
		c->all->cpu[i]->twin_number = 0;
	}
}

void mode_switch_single(struct cpu *c)
{
	u64 old = c->mode;
	u16 number = c->mode_number;

	c->mode ^= MODE_SINGLE;
	if (likely(c->twin_number && c->twin == c->mode)) {
		c->mode_number = c->twin_number;
		c->mode_key = mode_key(c->mode_number);
		c->twin_number = number;
	} else {
		c->twin_number = number;
		mode_changed(c);
	}
	c->twin = old;
}
