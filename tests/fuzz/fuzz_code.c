/* SPDX-License-Identifier: MIT */
/* Bytes as code, in any mode, on any processor, in a PC. A run of the interpreter must be the same run when it is cut
 * into slices, of blocks that are stitched at once, and when it is saved and loaded on its way. A longer one must be
 * the same when the rounds of waiting loops are executed.
 *
 *   0 mode   1 processor   2 flags: bit 0 ring 3, 1 paging (32-bit modes), 2 handlers, 3 an alignment check, 4-7 the registers' seed
 *   3 instructions of a slice   4 pages that are not present, read-only, the supervisor's or not to be executed   5 code
 *
 *   address  contents                        address  contents
 *         0  vectors of real mode              10000h  page tables of long mode: four levels, 4 KiB pages
 *     1000h  GDT                               14000h  page directory and table of 32-bit modes
 *     2000h  IDT                               20000h  data
 *     3000h  TSS                               38000h  stack
 *     7000h  handlers: skip a byte, return     8000h   code */
#include "tests/fuzz/fuzz.h"
#include "cpu/system/system.h"
#include "lib/machine.h"
#include "lib/replay.h"
#include "lib/vcpu_snapshot.h"
#include "tests/fuzz/hashes.h"

/* Instructions that pay for a look whether it waits; the second look finds the TLB full. */
enum { LONG_BUDGET = 15000, LONG_RUNS = 4 };
enum { BUDGET = 400, CODE_MAX = 512, GDT = 0x1000, IDT = 0x2000, TSS_AT = 0x3000, HANDLER = 0x7000,
	HANDLER_ERROR = 0x7080, CODE = 0x8000, TABLES = 0x10000,
       TABLES_32 = 0x14000, DATA = 0x20000, STACK = 0x38000, STACK0 = 0x3c000 };
enum mode { REAL, P16, P32, C16, C32, LONG, V86, MODE_KINDS };

static vcpu *machines[16];
static vcpu_snapshot *power_on[16];

static u64 descriptor(u32 limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52;
}

static void poke(vcpu *v, u64 at, u64 value, unsigned size) { space_poke(&v->mem, at, &value, size); }

static void make_machine(unsigned n)
{
	static const u8 boot[512] = { 0xf4, [510] = 0x55, 0xaa };
	struct vcpu_config config = {
		.memory = MiB, .cpu = vcpu_models()[n], .kernel_data = boot, .kernel_size = sizeof boot
	};
	char *error = NULL;

	machines[n] = vcpu_new(&config, &error);
	if (!machines[n])
		fuzz_fail("%s", error);
	power_on[n] = fuzz_memory(vcpu_snapshot_take(machines[n]));
}

/* Selectors: 16-, 32-, 64-bit code, 16- and 32-bit data of ring 0, then of ring 3; a TSS; a call gate. */
enum { CODE16 = 8, CODE32 = 16, CODE64 = 24, DATA16 = 32, DATA32 = 40, RING3 = 40, TASK = 88, CALL = 104 };

static void fill_tables(vcpu *v, enum mode mode, u64 pages)
{
	bool wide = mode == C16 || mode == C32 || mode == LONG;
	u16 code = wide ? CODE64 : CODE32;

	for (unsigned ring = 0; ring < 2; ring++) {
		static const struct { u32 limit; u8 access, flags; } kinds[] = { { 0xffff, 0x9b, 0 },
			{ 0xfffff, 0x9b, 0xc }, { 0xfffff, 0x9b, 0xa }, { 0xffff, 0x93, 0 },
			{ 0xfffff, 0x93, 0xc } };

		for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
			poke(v, GDT + 8 + RING3 * ring + 8 * i,
			     descriptor(kinds[i].limit, kinds[i].access | (ring ? 0x60u : 0), kinds[i].flags), 8);
	}
	poke(v, GDT + TASK, descriptor(0x1ff, 0x8b, 0) | (u64)TSS_AT << 16, 8);
	poke(v, GDT + CALL, HANDLER | (u64)code << 16 | (u64)0xec << 40, 8);
	poke(v, TSS_AT + 4, STACK0, 4);
	poke(v, TSS_AT + 8, wide ? 0 : DATA32, 4);
	poke(v, TSS_AT + 102, 0x88, 2);
	for (unsigned n = 0; n < 256; n++) {
		u32 entry = n == 8 || (n >= 10 && n <= 14) || n == 17 ? HANDLER_ERROR : HANDLER;

		if (mode == REAL)
			poke(v, 4 * n, HANDLER, 4);
		else
			poke(v, IDT + (wide ? 16 : 8) * n, entry | (u64)code << 16 | (u64)0xee << 40, 8);
	}
	if (mode == REAL) /* push bp; mov bp, sp; inc word [bp + 2]; pop bp; iret */
		space_poke(&v->mem, HANDLER, "\x55\x89\xe5\xff\x46\x02\x5d\xcf", 8);
	else /* add rsp, 8; inc qword [rsp]; iret; without 48h: of 4 bytes */
		for (unsigned error = 0; error < 2; error++) {
			const char *from =
				error ? "\x48\x83\xc4\x08\x48\xff\x04\x24\x48\xcf" : "\x48\xff\x04\x24\x48\xcf";
			u64 to = error ? HANDLER_ERROR : HANDLER;

			for (; *from; from++)
				if (wide || *from != 0x48)
					poke(v, to++, !wide && *from == 8 ? 4 : (u8)*from, 1);
		}
	for (unsigned i = 0; i < 3; i++)
		poke(v, TABLES + i * PAGE_SIZE, (TABLES + (i + 1) * PAGE_SIZE) | 7, 8);
	poke(v, TABLES_32, (TABLES_32 + PAGE_SIZE) | 7, 4);
	for (unsigned i = 0; i < 256; i++) {
		u64 entry = i * PAGE_SIZE | 7;

		if (i >= 0x1d && i < 0x30 && (pages >> (i & 7) & 1)) /* the last ones of the tables, and data */
			entry = i & 8 ? entry & ~(u64)(1 << (i >> 4 & 1)) : entry ^ (i & 16 ? 4 : (u64)1 << 63);
		poke(v, TABLES + 3 * PAGE_SIZE + 8 * i, entry, 8);
		poke(v, TABLES_32 + PAGE_SIZE + 4 * i, entry, 4);
	}
}

static void load_segment(vcpu *v, unsigned reg, u16 sel)
{
	u64 d = 0;

	space_peek(&v->mem, GDT + (sel & 0xfff8), &d, 8);
	descriptor_to_seg(&v->cpu->seg[reg], sel, d);
}

static void enter(vcpu *v, enum mode mode, unsigned flags)
{
	struct cpu *c = v->cpu;
	bool wide = mode == C16 || mode == C32 || mode == LONG, user = (flags & 1) && mode != REAL;
	u16 ring = user ? RING3 | 3 : 0, code = mode == LONG ? CODE64 : mode == P32 || mode == C32 ? CODE32 : CODE16;

	mode_setup(v, mode == REAL ? SETUP_REAL : wide ? SETUP_LONG : SETUP_PROTECTED, 0, 0, TABLES);
	c->gdtr.base = GDT;
	c->gdtr.limit = 0xff;
	c->idtr.base = mode == REAL ? 0 : IDT;
	c->idtr.limit = !(flags & 4) ? 0 : mode == REAL ? 0x3ff : 0xfff;
	if (mode != REAL) {
		load_segment(v, TR, TASK);
		c->cpl = user || mode == V86 ? 3 : 0;
		if (!wide && (flags & 2)) {
			c->cr3 = TABLES_32;
			c->cr0 |= CR0_PG;
		}
		if (wide)
			c->efer |= EFER_SCE;
		for (unsigned i = ES; i <= GS; i++)
			if (mode == V86)
				seg_load_real(c, i, i == CS || i == SS ? 0 : DATA >> 4);
			else
				load_segment(v, i, (u16)(ring + (i == CS ? code : code == CODE16 ? DATA16 : DATA32)));
		if (mode == V86)
			c->eflags |= FL_VM;
		if (flags & 8)
			c->cr0 |= CR0_AM | CR0_WP;
	}
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
	tlb_flush(c, true);
}

static void set_registers(vcpu *v, enum mode mode, unsigned flags)
{
	static const u64 values[] = { 0,      1,           DATA,       DATA + 0xff8, 0x7f,         ~(u64)0,
				      0x8000, CODE + 0x40, 0x80000000, 0x3f8,        (u64)1 << 63, 0x12345678 };
	u64 seed = flags >> 4;

	for (unsigned i = VCPU_RAX; i <= VCPU_R15; i++)
		vcpu_set(v, (int)i, values[hash64(seed, &i, sizeof i) % ARRAY_LEN(values)]);
	for (unsigned n = 0; n < 16; n++) {
		u64 q[2] = { hash64(seed, &n, 4), n & 1 ? 0x3ff0000040490fdb : 0x7ff800007f800000 };

		vcpu_set_vector(v, n, q);
	}
	vcpu_set(v, VCPU_RSP, mode == REAL || mode == P16 || mode == C16 || mode == V86 ? 0x6f00 : STACK);
	vcpu_set(v, VCPU_CR4, vcpu_get(v, VCPU_CR4) | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (!vcpu_set(v, VCPU_CR4, vcpu_get(v, VCPU_CR4) | CR4_OSXSAVE))
		v->cpu->xcr0 = has(&v->model, F_AVX) ? 7 : 3;
	update_mode(v->cpu);
	vcpu_set(v, VCPU_RFLAGS, vcpu_get(v, VCPU_RFLAGS) | (flags & 8 ? 0x40000 : 0) | (flags & 0x10 ? 0x200 : 0));
	if (vcpu_set(v, VCPU_RIP, CODE))
		fuzz_fail("%s", vcpu_error(v));
}

/* From now on, blocks are stitched after so many TIMES. */
static void hot_after(vcpu *v, unsigned times)
{
	v->cpu->all->hot_after = times;
	v->cpu->all->remapped = true; /* which forgets all blocks */
}

static struct vcpu_stop long_run(vcpu *v)
{
	struct vcpu_stop why = { VCPU_STOP_LIMIT, 0 };

	for (unsigned n = 0; n < LONG_RUNS && why.reason == VCPU_STOP_LIMIT; n++)
		why = vcpu_run(v, LONG_BUDGET);
	return why;
}

/* V is at the beginning of a run; it comes back there. */
static void compare_waiting(vcpu *v, const vcpu_snapshot *start)
{
	struct hashes executed;
	struct vcpu_stop why, again;

	v->cpu->all->no_skip_waiting = true;
	why = long_run(v);
	hashes_take(&executed, v);
	if (vcpu_snapshot_restore(v, start))
		fuzz_fail("%s", vcpu_error(v));
	v->exit_wanted = v->reset_wanted = v->cpu->all->no_skip_waiting = false;
	again = long_run(v);
	if (again.reason != why.reason)
		fuzz_fail("with waiting loops counted it stops with %s, not with %s", vcpu_stop_name(again.reason),
			vcpu_stop_name(why.reason));
	hashes_check(&executed, v, "with waiting loops counted");
	if (vcpu_snapshot_restore(v, start))
		fuzz_fail("%s", vcpu_error(v));
	v->exit_wanted = v->reset_wanted = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	enum mode mode = take(&in, 1) % MODE_KINDS;
	unsigned model = take(&in, 1) % 12, flags = (unsigned)take(&in, 1), slice = (unsigned)take(&in, 1) + 1;
	u64 pages = take(&in, 1);
	struct hashes free_run;
	vcpu_snapshot *start;
	struct vcpu_place end, at;
	struct vcpu_stop why, again;
	bool saves = slice % 16 == 15;
	vcpu *v;

	if (!machines[model])
		make_machine(model);
	v = machines[model];
	if (mode != REAL && !has(&v->model, F_I386))
		mode = REAL;
	if ((mode == C16 || mode == C32 || mode == LONG) && !has(&v->model, F_X64))
		mode = P32;
	if (vcpu_snapshot_restore(v, power_on[model]))
		fuzz_fail("%s", vcpu_error(v));
	v->exit_wanted = v->reset_wanted = false;
	fill_tables(v, mode, pages);
	space_poke(&v->mem, CODE, in.at, in.left < CODE_MAX ? in.left : CODE_MAX);
	for (unsigned i = 0; i < 512; i++)
		poke(v, DATA + 8 * i, hash64(i, &pages, 8), 8);
	enter(v, mode, flags);
	set_registers(v, mode, flags);

	start = fuzz_memory(vcpu_snapshot_take(v));
	hot_after(v, ~0u);
	if (slice % 4 == 1)
		compare_waiting(v, start);
	why = vcpu_run(v, BUDGET);
	end = vcpu_where(v);
	hashes_take(&free_run, v);

	if (vcpu_snapshot_restore(v, start))
		fuzz_fail("%s", vcpu_error(v));
	hot_after(v, 0);
	for (unsigned n = 0; at = vcpu_where(v), at.instructions + slice < end.instructions && n < 10 * BUDGET; n++) {
		vcpu_run(v, slice);
		if (saves && n == slice / 16)
			hashes_save_and_load(v);
	}
	again = machine_run_to(v, &end);
	if (again.reason == VCPU_STOP_LIMIT && why.reason != VCPU_STOP_LIMIT && why.reason != VCPU_STOP_IDLE)
		again = vcpu_run(v, 1); /* a shutdown takes no time */
	if (again.reason != why.reason && why.reason != VCPU_STOP_IDLE)
		fuzz_fail("in slices of %u it stops with %s, not with %s", slice, vcpu_stop_name(again.reason),
			  vcpu_stop_name(why.reason));
	at = vcpu_where(v);
	if (!place_equal(&at, &end))
		fuzz_fail("in slices of %u it comes to %llu+%u, %llu ns, not to %llu+%u, %llu ns", slice,
			  (unsigned long long)at.instructions, at.steps, (unsigned long long)at.ns,
			  (unsigned long long)end.instructions, end.steps, (unsigned long long)end.ns);
	hashes_check(&free_run, v, "in slices");
	vcpu_snapshot_free(v, start);
	return 0;
}
