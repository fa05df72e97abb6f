/* SPDX-License-Identifier: MIT */
/* AVIC (APM vol. 2, 15.29): the guest's accesses to its APIC go to its backing page, and interrupts come from there.
 * The VMCB says where it and the tables are.
 *
 *   physical APIC ID table, of 8 bytes each   63 valid | 62 is running | 51-12 backing page | 11-0 APIC ID, of the host
 *   logical APIC ID table, of 4 bytes each    31 valid | 7-0 APIC ID, of the guest. x2AVIC has none
 *
 * In c->svm->virtual V_IRQ says, of a guest with AVIC, that an interrupt of its IRR is due. In c->svm->inject is,
 * without EVENT_VALID, an exit that is due behind the instruction:
 *   63-32 vector of an EOI, index in the physical APIC ID table | 19-16 why an IPI is incomplete | 11-0 register */
#include "cpu/system/apic.h"
#include "cpu/system/system.h"
#include "cpu/system/vm/virtual_apic.h"

#define TABLE 0xffffffffff000
#define ENTRY_VALID ((u64)1 << 63)
#define ENTRY_RUNS ((u64)1 << 62)
#define LOGICAL_VALID (1u << 31)
enum incomplete { IPI_TYPE, IPI_NOT_RUNNING, IPI_TARGET, IPI_BACKING_PAGE, IPI_VECTOR, IPI_SENT };
enum { SELF = 1, ALL, ALL_BUT_SELF }; /* shorthands */

u64 avic_backing_page(const struct cpu *c) { return vmcb_get(c, c->svm->vmcb, VMCB_AVIC_BACKING_PAGE) & TABLE; }

static void exit_behind(struct cpu *c, unsigned offset, u32 id, u32 index)
{
	c->svm->inject = offset | id << 16 | (u64)index << 32;
	attend(c, ATTN_LINE);
}

/* ---- interrupts ---- */

void avic_evaluate(struct cpu *c)
{
	struct svm *v = c->svm;
	u64 page = avic_backing_page(c);
	u32 ppr = vapic_priority((v->virtual & 15) << 4, vapic_highest(c, page, VAPIC_ISR));

	vapic_set(c, page, VAPIC_PPR, ppr);
	v->virtual &= ~(u64)V_IRQ;
	if (vapic_highest(c, page, VAPIC_IRR) >> 4 > ppr >> 4)
		v->virtual |= V_IRQ;
	cpu_attention(c);
}

/* The hypervisor, which may have taken it back, has its own way to the backing page. */
unsigned avic_acknowledge(struct cpu *c)
{
	u64 page = avic_backing_page(c);
	unsigned vector = vapic_highest(c, page, VAPIC_IRR);

	if (vector) {
		vapic_mark(c, page, VAPIC_IRR, vector, false);
		vapic_mark(c, page, VAPIC_ISR, vector, true);
	}
	avic_evaluate(c);
	return vector;
}

void avic_write_tpr(struct cpu *c, u32 v)
{
	vapic_set(c, avic_backing_page(c), VAPIC_TPR, v);
	c->svm->virtual = (c->svm->virtual & ~(u64)V_TPR) | (v >> 4 & 15);
	avic_evaluate(c);
}

/* Of a level-triggered interrupt the hypervisor learns. */
static void end_of_interrupt(struct cpu *c, u64 page)
{
	unsigned vector = vapic_highest(c, page, VAPIC_ISR);

	if (vector && vapic_has(c, page, VAPIC_TMR, vector)) {
		exit_behind(c, VAPIC_EOI, 0, vector);
		return;
	}
	if (vector)
		vapic_mark(c, page, VAPIC_ISR, vector, false);
	avic_evaluate(c);
}

/* ---- interrupts between guests' processors ---- */

/* MSR C001011Bh: 11-0 APIC ID of a processor, which looks at its guest's IRR. */
bool avic_doorbell(struct cpu *c, u32 index, u64 id)
{
	struct apic *a = apic_find(c->all, id & 0xfff);

	(void)index;
	if (a && avic_on(a->cpu))
		avic_evaluate(a->cpu);
	return true;
}

/* Entry INDEX of the physical APIC ID table; 0: there is none, or it is not valid. */
static u64 target(const struct cpu *c, unsigned index)
{
	u64 table = vmcb_get(c, c->svm->vmcb, VMCB_AVIC_PHYSICAL_TABLE), e;

	if (index > (table & (x2avic_on(c) ? 0x1ff : 0xff)))
		return 0;
	e = vm_read(c, (table & TABLE) + 8 * index, 8);
	return e & ENTRY_VALID ? e : 0;
}

/* Of an IPI's targets, a bit each, the indexes in that table. */
enum { TARGETS = 512 };
struct targets { u32 bits[TARGETS / 32]; };
static void add_target(struct targets *t, unsigned i) { t->bits[i / 32] |= 1u << i % 32; }
static bool is_target(const struct targets *t, unsigned i) { return t->bits[i / 32] >> i % 32 & 1; }

/* Bit BIT of a logical destination: *INDEX. False: the table has no valid entry for it. */
static bool logical_target(const struct cpu *c, u64 page, u32 dest, unsigned bit, unsigned *index)
{
	bool cluster = vapic_get(c, page, VAPIC_DFR) >> 28 != 15;
	u32 e;

	if (x2avic_on(c)) { /* from APIC IDs to logical ones it is always the same way (15.29.5.3) */
		*index = dest >> 16 << 4 | bit;
		return target(c, *index);
	}
	e = (u32)vm_read(c, (vmcb_get(c, c->svm->vmcb, VMCB_AVIC_LOGICAL_TABLE) & TABLE) +
			 4 * (cluster ? (dest >> 4) * 4 + bit : bit), 4);
	if (!(e & LOGICAL_VALID))
		return false;
	*index = e & 0xff;
	return target(c, *index);
}

/* False: one of them is not valid; it is in *INDEX. */
static bool targets(const struct cpu *c, u64 page, u32 icr, u32 dest, struct targets *t, unsigned *index)
{
	bool x2 = x2avic_on(c);
	unsigned shorthand = icr >> 18 & 3, logical = icr >> 11 & 1;
	unsigned bits = x2 ? 16 : vapic_get(c, page, VAPIC_DFR) >> 28 != 15 ? 4 : 8;

	memset(t, 0, sizeof *t);
	if (shorthand || dest == (x2 ? 0xffffffff : 0xff)) {
		for (unsigned i = 0; i < TARGETS; i++) {
			u64 e = target(c, i);

			if (e && !(shorthand == ALL_BUT_SELF && (e & TABLE) == page))
				add_target(t, i);
		}
		return true;
	}
	*index = dest & 0xfff;
	if (!logical && !target(c, dest))
		return false;
	if (!logical)
		add_target(t, dest);
	for (unsigned bit = 0; logical && bit < bits; bit++) {
		if (!(dest >> bit & 1))
			continue;
		if (!logical_target(c, page, dest, bit, index))
			return false;
		add_target(t, *index);
	}
	return true;
}

/* Only fixed, edge-triggered ones are sent without the hypervisor. */
static enum incomplete send(struct cpu *c, u64 page, unsigned *index)
{
	u32 icr = vapic_get(c, page, VAPIC_ICR), dest = vapic_get(c, page, VAPIC_ICR_HIGH);
	unsigned vector = icr & 0xff;
	struct targets t;
	enum incomplete result = IPI_SENT;

	*index = 0;
	if (icr & 0x8700)
		return IPI_TYPE;
	if (vector < 16)
		return IPI_VECTOR;
	if ((icr >> 18 & 3) == SELF) {
		vapic_mark(c, page, VAPIC_IRR, vector, true);
		avic_evaluate(c);
		return IPI_SENT;
	}
	if (!targets(c, page, icr, x2avic_on(c) ? dest : dest >> 24, &t, index))
		return IPI_TARGET;
	for (unsigned i = 0; i < TARGETS; i++) {
		u64 e = is_target(&t, i) ? target(c, i) : 0;

		if (!e)
			continue;
		vapic_mark(c, e & TABLE, VAPIC_IRR, vector, true);
		if (e & ENTRY_RUNS) {
			avic_doorbell(c, 0, e);
		} else {
			result = IPI_NOT_RUNNING;
			*index = i;
		}
	}
	return result;
}

/* ---- the page of the guest's APIC ---- */

/* Table 15-22; bit n: offset 16 n. Read: all but APR and the current count. Written: what is not read-only. */
bool avic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind)
{
	static const u64 read = 0x41ff01fffffffd0c, written = 0x41ff01000000f904;
	bool write = kind == ACCESS_WRITE;

	if (kind != ACCESS_FETCH && (offset & 15) + len <= 4 && offset < 0x400 &&
	    (write ? written : read) >> (offset >> 4) & 1)
		return true;
	return svm_exits(c, SVM_EXIT_AVIC_NOACCEL, (offset & 0xff0) | (u64)write << 32, 0);
}

static void icr_written(struct cpu *c, u64 page)
{
	unsigned index;
	enum incomplete why;

	labour(c, LABOUR_DEVICE); /* hundreds of targets */
	why = send(c, page, &index);
	if (why != IPI_SENT)
		exit_behind(c, VAPIC_ICR, why, index);
}

void avic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		out[i] = (u8)vm_read(c, avic_backing_page(c) + offset + i, 1);
}

void avic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len)
{
	u64 page = avic_backing_page(c);
	unsigned at = offset & ~15u;

	for (unsigned i = 0; i < len; i++)
		vm_write(c, page + offset + i, 1, in[i]);
	switch (at) {
	case VAPIC_TPR: avic_write_tpr(c, vapic_get(c, page, VAPIC_TPR) & 0xff); break;
	case VAPIC_EOI: end_of_interrupt(c, page); break;
	case VAPIC_ICR_HIGH: break;
	case VAPIC_ICR: icr_written(c, page); break;
	default: exit_behind(c, at, 0, 0);
	}
}

/* ---- x2AVIC: the registers as MSRs (table 15-22; 16.11). What x2APIC mode does not allow is #GP. ---- */

bool avic_msr_exits(struct cpu *c, u32 index, bool write)
{
	/* Neither APR nor the current count is in the backing page. */
	if (!x2avic_on(c) || write || (index != 0x809 && index != 0x839))
		return false;
	svm_exits(c, SVM_EXIT_AVIC_NOACCEL, (index & 0xff) << 4, 0);
	return true;
}

bool avic_read_msr(const struct cpu *c, u32 index, u64 *v)
{
	static const u64 readable = 0x41fd01ffffffa50c; /* a bit for each, from 800h on */
	unsigned n = index & 0xff;
	u64 page = avic_backing_page(c);

	if (n > 63 || !(readable >> n & 1))
		return false;
	*v = vapic_get(c, page, n << 4);
	if (n << 4 == VAPIC_ICR)
		*v |= (u64)vapic_get(c, page, VAPIC_ICR_HIGH) << 32;
	return true;
}

bool avic_write_msr(struct cpu *c, u32 index, u64 v)
{
	static const u64 writable = 0xc1fd010000008900;
	unsigned n = index & 0xff, at = n << 4;
	u64 page = avic_backing_page(c);

	if (n > 63 || !(writable >> n & 1) || (at != VAPIC_ICR && v >> 32))
		return false;
	if (((at == VAPIC_TPR || at == VAPIC_SELF_IPI) && v >> 8) || ((at == VAPIC_EOI || at == VAPIC_ESR) && v))
		return false;
	vapic_set(c, page, at, (u32)v);
	switch (at) {
	case VAPIC_TPR: avic_write_tpr(c, (u32)v); break;
	case VAPIC_EOI: end_of_interrupt(c, page); break;
	case VAPIC_ICR:
		vapic_set(c, page, VAPIC_ICR_HIGH, (u32)(v >> 32));
		icr_written(c, page);
		break;
	case VAPIC_SELF_IPI:
		if (v >= 16) {
			vapic_mark(c, page, VAPIC_IRR, (unsigned)v, true);
			avic_evaluate(c);
			break;
		} /* fall through */
	default: exit_behind(c, at, 0, 0);
	}
	return true;
}

bool avic_exits(struct cpu *c)
{
	u64 due = c->svm->inject, page = avic_backing_page(c);
	unsigned at = due & 0xff0;

	c->svm->inject = 0;
	if (at == VAPIC_ICR)
		return svm_exits(c, SVM_EXIT_AVIC_INCOMPLETE_IPI,
				 (u64)vapic_get(c, page, VAPIC_ICR_HIGH) << 32 | vapic_get(c, page, VAPIC_ICR),
				 (due >> 16 & 15) << 32 | due >> 32);
	return svm_exits(c, SVM_EXIT_AVIC_NOACCEL, at | (u64)1 << 32, due >> 32);
}
