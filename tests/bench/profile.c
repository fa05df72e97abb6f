/* SPDX-License-Identifier: MIT */
/* The pairs of operations that a guest executes, as lines of cpu/engine/pairs.def and fused.def, each with its share of
 * all instructions in millionths. Every 499 instructions the next operations are a sample.
 *
 *     profile INSTRUCTIONS KERNEL [INITRD APPEND]      -: the firmware alone */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/engine/passes.h"
#include "lib/machine.h"

enum { EVERY = 499, WINDOW = 128, OPS = 40 };

static const char *const names[STEPS] = {
#define STEP(name, ...) #name,
	"",
#include "cpu/engine/pairs.def"
};

static unsigned long samples, pairs[STEPS][STEPS][2];
static struct fusion { const char *mnemonic; unsigned size, form, in64, cc; unsigned long count; } fusions[4096];

static void count_fusion(const struct dec *d, const struct op *o)
{
	struct fusion key = { d->row->insn->mnemonic, dec_size(d, 0), o->form, d->bits == 64, d[1].opcode & 15u, 0 },
		      *f = fusions;

	while (f->mnemonic && (f->mnemonic != key.mnemonic || f->size != key.size || f->form != key.form ||
			       f->in64 != key.in64 || f->cc != key.cc))
		f++;
	key.count = f->count + 1;
	*f = key;
}

/* Of the operation that comes next, which is as often each of the guest's as it executes them. */
static void count(struct dec *d, struct op *o, unsigned n)
{
	unsigned first, second;

	if (n < 2 || !d[0].row || !d[1].row)
		return;
	passes(d, o, n);
	first = step_of(&d[0], &o[0]);
	second = step_of(&d[1], &o[1]);
	if (first && second)
		pairs[first][second][d[1].forwarded]++;
	if (d[0].row->insn->fuse && d[1].row->insn->condition == CONDITION_JUMP && (!d[0].mem || d[0].simple_ea))
		count_fusion(&d[0], &o[0]);
}

/* Decode from where the processor stands. */
static void sample(struct cpu *c)
{
	struct dec d[OPS];
	struct op o[OPS];
	u64 linear = (c->r[RIP] + c->cs_base) & c->linear_mask, phys;
	unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1)), at = 0, n = 0;
	u8 code[WINDOW];

	if (!page_peek(c, linear, &phys))
		return;
	room = room < WINDOW ? room : WINDOW;
	for (unsigned i = 0; i < room; i++)
		code[i] = (u8)space_read(c->mem, phys + i, 1);
	while (n < OPS &&
	       decode(c->isa, c->model, c->mode & ~(u64)MODE_SINGLE, code + at, room - at, &d[n], &o[n]) == DECODE_OK) {
		const struct insn *insn = d[n].row ? d[n].row->insn : NULL;

		at += o[n].len;
		if (n && pass_merge(&d[n - 1], &o[n - 1], &d[n], &o[n])) {
			d[n - 1] = d[n];
			o[n - 1] = o[n];
		} else {
			n++;
		}
		if (!insn || (insn->ends && insn->condition != CONDITION_JUMP))
			break;
	}
	samples++;
	count(d, o, n);
}

static void print_pairs(void)
{
	for (unsigned a = 1; a < STEPS; a++)
		for (unsigned b = 1; b < STEPS; b++)
			for (unsigned takes = 0; takes < 2; takes++)
				if (pairs[a][b][takes])
					printf("%7.0f PAIR(%s, %s, %u)\n",
					       1e6 * (double)pairs[a][b][takes] / (double)samples, names[a], names[b],
					       takes);
}

static void print_fusions(void)
{
	static const char *const forms[] = { "OTHER", "R", "M", "RR", "RI", "RM", "MR", "MI" };

	for (const struct fusion *f = fusions; f->mnemonic; f++)
		printf("%7.0f FUSED%s(%s, %u, %s, %u, %u)\n", 1e6 * (double)f->count / (double)samples,
		       f->form == FORM_RM || f->form == FORM_MR || f->form == FORM_MI || f->form == FORM_M ? "_LOAD"
													   : "",
		       f->mnemonic, f->size, forms[f->form], f->in64, f->cc);
}

int main(int argc, char **argv)
{
	struct vcpu_config config = { .memory = 256 << 20 };
	u64 end = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	enum vcpu_stop_reason reason;
	char *error = NULL;
	vcpu *v;

	if (argc < 3 || !end) {
		fprintf(stderr, "profile INSTRUCTIONS KERNEL [INITRD [APPEND]]\n");
		return 2;
	}
	config.display = strcmp(argv[2], "-") ? NULL : "vga";
	config.kernel = strcmp(argv[2], "-") ? argv[2] : NULL;
	config.initrd = argc > 3 ? argv[3] : NULL;
	config.append = argc > 4 ? argv[4] : NULL;
	v = vcpu_new(&config, &error);
	if (!v) {
		fprintf(stderr, "profile: %s\n", error ? error : "no memory");
		return 2;
	}
	do {
		reason = vcpu_run(v, EVERY).reason;
		sample(v->cpu);
	} while (vcpu_instructions(v) < end && (reason == VCPU_STOP_LIMIT || reason == VCPU_STOP_IDLE));
	vcpu_free(v);
	print_pairs();
	print_fusions();
	return 0;
}
