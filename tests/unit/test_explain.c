/* SPDX-License-Identifier: MIT */
/* Why a fault: the sentence that goes with it names the check that failed, the first one in the order of the SDM's
 * pseudo-code (vol. 2, MOV, JMP, CALL, RET, IRET, INT n ...): what a descriptor is comes before whether it is present.
 * Each case breaks what its sentence says, and most break a later check, too. */
#include "tests/unit/modes.h"

#define AX(sel) 0x66, 0xb8, (sel) & 0xff, (sel) >> 8     /* mov ax, sel */
#define DS(sel) AX(sel), 0x8e, 0xd8                      /* mov ds, ax */
#define ES_(sel) AX(sel), 0x8e, 0xc0
#define SS_(sel) AX(sel), 0x8e, 0xd0
#define EAX(v) 0xb8, (v) & 0xff, (v) >> 8 & 0xff, (v) >> 16 & 0xff, (v) >> 24 & 0xff
#define FAR(op, sel, at) (op), (at) & 0xff, (at) >> 8 & 0xff, (at) >> 16 & 0xff, 0, (sel) & 0xff, (sel) >> 8
#define JMP(sel) FAR(0xea, sel, HANDLER)
#define CALL(sel) FAR(0x9a, sel, HANDLER)
enum { N = 0x40, IDT_N = N * 8 + 2 };

/* SLOT: a descriptor of ACCESS, FLAGS and LIMIT (0: FFFFFh), or, where ACCESS is of a gate, a gate to the selector
 * FLAGS. In_idt: it is entry N of the IDT. */
static const struct row {
	enum mode mode;
	u8 cpl, access;
	u16 flags;
	u32 limit, eflags;
	u32 stack[2];
	bool in_idt;
	u8 code[16];
	u8 vector;
	u16 error;
	const char *why;
} rows[] = {
	/* Segment registers */
	{ P32, 0, .code = { DS(BEYOND) }, .vector = VEC_GP, .error = BEYOND, .why = "beyond the limit of the GDT" },
	{ P32, 0, .code = { DS(LDT_END | 4) }, .vector = VEC_GP, .error = LDT_END | 4,
		.why = "beyond the limit of the LDT" },
	{ P32, 0, 0x02, .code = { DS(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "system descriptor" },
	{ P32, 0, 0x19, .code = { DS(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "not readable" },
	{ P32, 3, 0x13, .code = { DS(SLOT | 3) }, .vector = VEC_GP, .error = SLOT,
		.why = "CPL is above the segment's DPL" },
	{ P32, 0, 0x13, .code = { DS(SLOT | 3) }, .vector = VEC_GP, .error = SLOT,
		.why = "RPL is above the segment's DPL" },
	{ P32, 0, 0x13, .code = { DS(SLOT) }, .vector = VEC_NP, .error = SLOT, .why = "not present" },
	{ P32, 0, .code = { SS_(0) }, .vector = VEC_GP, .why = "SS takes no null selector" },
	{ P32, 0, 0x1b, .code = { SS_(SLOT | 1) }, .vector = VEC_GP, .error = SLOT,
		.why = "the RPL of a selector for SS" },
	{ P32, 0, 0x7b, .code = { SS_(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "writable data segment" },
	{ P32, 0, 0x73, .code = { SS_(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "the DPL of a segment for SS" },
	{ P32, 0, 0x13, .code = { SS_(SLOT) }, .vector = VEC_SS, .error = SLOT, .why = "not present" },
	{ LONG, 3, .code = { SS_(3) }, .vector = VEC_GP, .why = "at CPL 3" },
	{ P32, 0, 0x03, .code = { AX(SLOT), 0x0f, 0x00, 0xd8 }, .vector = VEC_GP, .error = SLOT,
		.why = "not the descriptor of an available TSS" },
	{ P32, 0, 0x09, .code = { AX(SLOT), 0x0f, 0x00, 0xd8 }, .vector = VEC_NP, .error = SLOT, .why = "not present" },
	{ P32, 0, 0x09, .code = { AX(SLOT), 0x0f, 0x00, 0xd0 }, .vector = VEC_GP, .error = SLOT,
		.why = "not the descriptor of an LDT" },
	/* Operands */
	{ P32, 0, 0x93, .code = { ES_(SLOT), 0x26, 0xa0, 0, 0, 0x10, 0 }, .vector = VEC_GP,
		.why = "beyond its segment's limit" },
	{ P32, 0, 0x91, .code = { ES_(SLOT), 0x26, 0xa2, 0, 0x50, 0, 0 }, .vector = VEC_GP, .why = "read-only" },
	{ P32, 0, 0x97, .code = { ES_(SLOT), 0x26, 0xa0, 0, 0x50, 0, 0 }, .vector = VEC_GP, .why = "expand-down" },
	{ P32, 0, .code = { ES_(0), 0x26, 0xa0, 0, 0x50, 0, 0 }, .vector = VEC_GP, .why = "holds the null selector" },
	{ P32, 0, .code = { 0x2e, 0xa2, 0, 0x50, 0, 0 }, .vector = VEC_GP, .why = "in a code segment" },
	{ LONG, 0, .code = { 0x48, 0xbb, 0, 0, 0, 0, 0, 0x80, 0, 0, 0x8a, 0x03 }, .vector = VEC_GP,
		.why = "not canonical" },
	{ P32, 0, .code = { 0x0f, 0x28, 0x05, 1, 0x50, 0, 0 }, .vector = VEC_GP, .why = "aligned" },
	/* Far transfers */
	{ P32, 0, .code = { JMP(0) }, .vector = VEC_GP, .why = "CS takes no null selector" },
	{ P32, 0, 0x13, .code = { JMP(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "CS takes code only" },
	{ P32, 0, 0x7b, .code = { JMP(SLOT) }, .vector = VEC_GP, .error = SLOT,
		.why = "the DPL of the code segment is not CPL" },
	{ P32, 0, 0x1b, .code = { JMP(SLOT | 1) }, .vector = VEC_GP, .error = SLOT, .why = "RPL is above CPL" },
	{ P32, 0, 0x7f, .code = { CALL(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "conforming" },
	{ P32, 0, 0x1b, .code = { CALL(SLOT) }, .vector = VEC_NP, .error = SLOT,
		.why = "the code segment is not present" },
	{ P32, 0, 0x9b, .limit = HANDLER - 1, .code = { JMP(SLOT) }, .vector = VEC_GP,
		.why = "beyond the limit of its code segment" },
	{ LONG, 0, 0x9b, 0xe, .stack = { HANDLER, SLOT }, .code = { 0xcb }, .vector = VEC_GP, .error = SLOT,
		.why = "both L and D" },
	{ P32, 0, 0x0e, CODE32(0), .code = { JMP(SLOT) }, .vector = VEC_GP, .error = SLOT,
		.why = "neither a code segment nor a call gate" },
	{ P32, 3, 0x0c, CODE32(0), .code = { CALL(SLOT) }, .vector = VEC_GP, .error = SLOT,
		.why = "CPL is above the DPL of the gate" },
	{ P32, 0, 0x0c, CODE32(0), .code = { CALL(SLOT | 3) }, .vector = VEC_GP, .error = SLOT,
		.why = "RPL is above the DPL of the gate" },
	{ P32, 0, 0x0c, CODE32(0), .code = { CALL(SLOT) }, .vector = VEC_NP, .error = SLOT,
		.why = "gate or TSS is not present" },
	{ P32, 0, 0xec, 0, .code = { CALL(SLOT) }, .vector = VEC_GP, .why = "call gate holds the null selector" },
	{ P32, 0, 0xec, DATA32(0), .code = { CALL(SLOT) }, .vector = VEC_GP, .error = DATA32(0),
		.why = "leads to no code segment" },
	{ P32, 0, 0xec, CODE32(3), .code = { CALL(SLOT) }, .vector = VEC_GP, .error = CODE32(3) & ~3,
		.why = "code segment is above CPL" },
	{ P32, 3, 0xec, CODE32(0), .code = { JMP(SLOT) }, .vector = VEC_GP, .error = CODE32(0),
		.why = "JMP cannot change CPL" },
	{ P32, 0, .stack = { HANDLER, 0 }, .code = { 0xcb }, .vector = VEC_GP,
		.why = "the return address has the null selector" },
	{ P32, 0, 0x13, .stack = { HANDLER, SLOT }, .code = { 0xcb }, .vector = VEC_GP, .error = SLOT,
		.why = "not in a code segment" },
	{ P32, 3, 0x1b, .stack = { HANDLER, SLOT }, .code = { 0xcf }, .vector = VEC_GP, .error = SLOT,
		.why = "below CPL" },
	{ P32, 0, 0x7b, .stack = { HANDLER, SLOT }, .code = { 0xcf }, .vector = VEC_GP, .error = SLOT,
		.why = "is not the return address's RPL" },
	{ P32, 0, 0x1b, .stack = { HANDLER, SLOT }, .code = { 0xcf }, .vector = VEC_NP, .error = SLOT,
		.why = "the code segment is not present" },
	{ LONG, 0, .eflags = FL_NT, .code = { 0xcf }, .vector = VEC_GP, .why = "NT is set" },
	{ P32, 0, .eflags = FL_NT, .code = { 0xcf }, .vector = VEC_TS, .why = "back link names no busy TSS" },
	/* Tasks */
	{ P32, 0, 0x0b, .code = { JMP(SLOT) }, .vector = VEC_GP, .error = SLOT, .why = "available TSS" },
	{ P32, 0, 0x09, .code = { JMP(SLOT) }, .vector = VEC_NP, .error = SLOT, .why = "gate or TSS is not present" },
	{ P32, 0, 0x89, .limit = 0x66, .code = { JMP(SLOT) }, .vector = VEC_TS, .error = SLOT, .why = "too short" },
	{ P32, 0, 0x85, CODE32(0), .code = { JMP(SLOT) }, .vector = VEC_GP, .error = CODE32(0),
		.why = "the task gate names no available TSS" },
	/* INT n */
	{ P32, 0, .code = { 0xcd, 0xff }, .vector = VEC_GP, .error = 0xff * 8 + 2,
		.why = "beyond the limit of the IDT" },
	{ P32, 3, 0x0c, CODE32(0), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP, .error = IDT_N,
		.why = "no interrupt, trap or task gate" },
	{ P32, 3, 0x0e, CODE32(0), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP, .error = IDT_N,
		.why = "this INT instruction may not use it" },
	{ P32, 3, 0x6e, CODE32(0), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_NP, .error = IDT_N,
		.why = "the gate is not present" },
	{ P32, 3, 0xee, 0, .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP,
		.why = "the gate holds the null selector" },
	{ P32, 3, 0xee, DATA32(0), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP, .error = DATA32(0),
		.why = "the gate leads to no code segment" },
	{ P32, 0, 0xee, CODE32(3), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP, .error = CODE32(3) & ~3,
		.why = "code segment is above CPL" },
	{ LONG, 0, 0xee, CODE32(0), .in_idt = true, .code = { 0xcd, N }, .vector = VEC_GP, .error = CODE32(0),
		.why = "64-bit code only" },
	{ V86, 3, .code = { 0xcd, N }, .vector = VEC_GP, .why = "IOPL 3" },
	/* Privileges, registers */
	{ P32, 3, .code = { 0xf4 }, .vector = VEC_GP, .why = "privileged instruction" },
	{ P32, 3, .code = { 0xfa }, .vector = VEC_GP, .why = "CPL is above IOPL" },
	{ P32, 3, .code = { 0x66, 0xba, 0xff, 0x0f, 0xec }, .vector = VEC_GP, .why = "beyond the TSS's I/O map" },
	{ P32, 0, .code = { 0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32 }, .vector = VEC_GP, .why = "no such MSR" },
	{ P32, 0, .code = { EAX(0x80000000u), 0x0f, 0x22, 0xc0 }, .vector = VEC_GP,
		.why = "CR0.PG would be set without CR0.PE" },
	{ P32, 0, .code = { EAX(0x20000001u), 0x0f, 0x22, 0xc0 }, .vector = VEC_GP,
		.why = "CR0.NW would be set without CR0.CD" },
	{ P32, 0, .code = { EAX(0x80000000u), 0x0f, 0x22, 0xe0 }, .vector = VEC_GP, .why = "CR4 would be set that" },
	{ LONG, 0, .code = { EAX(0x200), 0x0f, 0x22, 0xe0 }, .vector = VEC_GP, .why = "CR4.PAE" },
	{ P32, 0, .code = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x90 }, .vector = VEC_GP, .why = "15 bytes" },
};

static void set_slot(const struct row *r)
{
	bool is_gate = !(r->access & 0x10) && (r->access & 4);
	u64 d = is_gate ? gate(r->flags, HANDLER, r->access, 0)
			: descriptor(0, r->limit ? r->limit : 0xfffff, r->access, r->flags ? r->flags : 4);

	if (r->in_idt)
		set_gate(N, d);
	else
		set_descriptor(SLOT, d);
}

START_TEST(reasons)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		name_case("%s, ring %u: case %u, \"%s\"", mode_names[r->mode], r->cpl, i, r->why);
		enter(r->mode, r->cpl);
		set_slot(r);
		poke(CODE, r->code, sizeof r->code);
		poke32(STACK, r->stack[0]);
		poke32(STACK + 4, r->stack[1]);
		poke32(STACK + 8, FL_1);
		c->eflags |= r->eflags;
		settle();
		with_idt();
		EQ(taken(), r->vector);
		FAULT(0, r->vector, r->error);
		ck_assert_msg(c->chain[0].why && strstr(c->chain[0].why, r->why), "%s: the reason is: %s", what,
			      c->chain[0].why ? c->chain[0].why : "none");
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("explain");
	TCase *t = tcase_create("explain");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_add_test(t, reasons);
	suite_add_tcase(s, t);
	return bare_run(s);
}
