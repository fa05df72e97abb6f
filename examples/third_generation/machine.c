/* SPDX-License-Identifier: MIT */
/* The processor: one instruction after the other. */
#include "machine.h"

enum { FIELD = MAX_SIZE - 1, ADDRESS = 0xffffff };

static word psw(const struct machine *m)
{
	return (word)m->user << 60 | (word)m->p << 40 | (word)m->l << 20 | m->b;
}

static void load_psw(struct machine *m, word w)
{
	m->user = w >> 60 & 1;
	m->p = w >> 40 & FIELD;
	m->l = w >> 20 & FIELD;
	m->b = w & FIELD;
}

static void trap(struct machine *m)
{
	m->traps++;
	m->e[0] = psw(m);
	load_psw(m, m->e[1]);
}

/* The cell of a program's ADDRESS. NULL: memory trap. */
static word *cell(const struct machine *m, word address)
{
	return address < m->b && m->l + address < m->size ? &m->e[m->l + address] : NULL;
}

/* The cell that an operand of FORM names. NULL: memory trap, or it names none. */
static word *operand(const struct machine *m, unsigned form, word field)
{
	word *p = form == IMMEDIATE ? NULL : cell(m, field);

	return p && form >= INDIRECT ? cell(m, *p & ADDRESS) : p;
}

/* Which operands an operation has. -1: it is unknown. */
static int operands_of(unsigned operation)
{
	switch (operation) {
#define X(code, name, operands) case code: return operands;
	OPERATIONS(X)
#undef X
	default: return -1;
	}
}

/* What an operation does when nothing traps any more. False: HALT. */
static bool execute(struct machine *m, unsigned operation, word *a, word b, word *called)
{
	unsigned next = m->p + 1;

	switch (operation) {
	case OP_mov: *a = b; break;
	case OP_add: *a += b; break;
	case OP_sub: *a -= b; break;
	case OP_and: *a &= b; break;
	case OP_shl: *a = b < 64 ? *a << b : 0; break;
	case OP_shr: *a = b < 64 ? *a >> b : 0; break;
	case OP_jmp: next = (unsigned)b; break;
	case OP_jz: next = *a == 0 ? (unsigned)b : next; break;
	case OP_jn: next = *a >> 63 ? (unsigned)b : next; break;
	case OP_call: *called = next; next = (unsigned)b + 1; break;
	case OP_halt: return false;
	case OP_out: putc((int)(b & 0xff), m->console); break;
	case OP_lpsw: load_psw(m, b); return true;
	case OP_lrr: m->l = b >> 20 & FIELD; m->b = b & FIELD; break;
	case OP_srr: *a = (word)m->l << 20 | m->b; break;
	case OP_retu: m->user = true; next = (unsigned)b; break;
	}
	m->p = next & FIELD;
	return true;
}

/* One instruction, or its trap. False: HALT. */
static bool step(struct machine *m)
{
	word *at = cell(m, m->p), *a = NULL, *called = NULL, b = 0;
	unsigned operation = at ? *at >> 56 : 0, form_a = at ? *at >> 52 & 3 : 0, form_b = at ? *at >> 48 & 3 : 0;
	int operands = operands_of(operation);
	bool privileged = operation >= OP_halt && !(operation == OP_retu && m->retu_unprivileged);

	m->count++;
	if (operands < 0 || operation == OP_svc || (privileged && m->user))
		goto trapped;
	if (operands & A && !(a = operand(m, form_a, *at >> 24 & ADDRESS)))
		goto trapped;
	if (operands & B && form_b == IMMEDIATE) {
		b = ((*at & ADDRESS) ^ 0x800000) - 0x800000;
	} else if (operands & B) {
		word *from = operand(m, form_b, *at & ADDRESS);

		if (!from)
			goto trapped;
		b = *from;
	}
	if (operation == OP_call && !(called = cell(m, b)))
		goto trapped;
	return execute(m, operation, a, b, called);
trapped:
	trap(m);
	return true;
}

void machine_reset(struct machine *m)
{
	load_psw(m, (word)2 << 40 | m->size);
	m->e[0] = psw(m);
	m->count = m->traps = 0;
}

bool machine_run(struct machine *m, uint64_t limit)
{
	while (m->count < limit)
		if (!step(m))
			return true;
	return false;
}
