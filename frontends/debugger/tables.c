/* SPDX-License-Identifier: MIT */
/* The processor's tables: descriptors, tasks, mappings, interrupts on their way. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static bool long_mode(struct session *s) { return vcpu_get(s->machine, VCPU_EFER) & 0x400; }

/* ---- descriptors (SDM vol. 3, figures 3-8, 6-2, 6-8, 8-3) ----
 *    63-56 base 31:24 | 55 G 54 D/B 53 L 52 AVL | 51-48 limit 19:16 | 47 P 46-45 DPL 44 S 43-40 type | 39-16 base 23:0 | 15-0 limit 15:0 */

static void print_segment(struct session *s, unsigned selector, uint64_t d, uint64_t high)
{
	static const char *const system[16] = { "reserved", "16-bit TSS", "LDT", "16-bit TSS, busy", "16-bit call gate",
		"task gate",
		"16-bit interrupt gate",
		"16-bit trap gate", "reserved", "TSS", "reserved", "TSS, busy", "call gate", "reserved",
		"interrupt gate", "trap gate" };
	uint64_t base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000), limit = (d & 0xffff) | (d >> 32 & 0xf0000);
	unsigned type = d >> 40 & 15, dpl = d >> 45 & 3;
	bool wide = long_mode(s);

	if (d >> 55 & 1)
		limit = limit << 12 | 0xfff;
	fprintf(s->out, "%04x  ", selector);
	if (!(d >> 44 & 1) && (type == 4 || type == 12)) {
		uint64_t to = (d & 0xffff) | (d >> 32 & 0xffff0000) | (wide ? high << 32 : 0);

		fprintf(s->out, "%s to %04x:%" PRIx64, system[type], (unsigned)(d >> 16 & 0xffff), to);
	} else if (!(d >> 44 & 1)) {
		fprintf(s->out, "%s, base %0*" PRIx64 ", limit %" PRIx64, system[type], wide ? 16 : 8,
			base | (wide ? high << 32 : 0), limit);
	} else if (type & 8) {
		fprintf(s->out, "%s-bit %scode%s, base %08" PRIx64 ", limit %" PRIx64,
			d >> 53 & 1   ? "64"
			: d >> 54 & 1 ? "32"
				      : "16",
			type & 4 ? "conforming " : "", type & 2 ? "" : " that cannot be read", base, limit);
	} else {
		fprintf(s->out, "%s%s data, base %08" PRIx64 ", limit %" PRIx64, type & 2 ? "writable" : "read-only",
			type & 4 ? ", expand-down" : "",
			base, limit);
	}
	fprintf(s->out, ", DPL %u%s%s\n", dpl, d >> 47 & 1 ? "" : ", NOT PRESENT",
		d >> 44 & 1 && type & 1 ? ", accessed" : "");
}

static bool print_table(struct session *s, uint64_t base, uint64_t limit, unsigned ti)
{
	uint64_t d[2];

	for (uint64_t at = 0; at + 7 <= limit && at < 0x10000; at += 8) {
		d[1] = 0;
		if (vcpu_read_linear(s->machine, base + at, d, 8) != 8)
			return complaint(s, "%" PRIx64 ": not mapped", base + at);
		if (!d[0])
			continue;
		if (long_mode(s) && !(d[0] >> 44 & 1) && at + 15 <= limit) { /* twice as long */
			vcpu_read_linear(s->machine, base + at + 8, &d[1], 8);
			print_segment(s, (unsigned)at | ti, d[0], d[1]);
			at += 8;
			continue;
		}
		print_segment(s, (unsigned)at | ti, d[0], 0);
	}
	return true;
}

bool info_gdt(struct session *s, const char *args)
{
	(void)args;
	fprintf(s->out, "GDT at %" PRIx64 ", limit %" PRIx64 "\n", vcpu_get(s->machine, VCPU_GDTR_BASE),
		vcpu_get(s->machine, VCPU_GDTR_LIMIT));
	return print_table(s, vcpu_get(s->machine, VCPU_GDTR_BASE), vcpu_get(s->machine, VCPU_GDTR_LIMIT), 0);
}

bool info_ldt(struct session *s, const char *args)
{
	(void)args;
	if (!(vcpu_get(s->machine, VCPU_LDTR) & ~(uint64_t)3)) {
		fprintf(s->out, "there is no LDT: LDTR holds the null selector\n");
		return true;
	}
	fprintf(s->out, "LDT %04x at %" PRIx64 ", limit %" PRIx64 "\n", (unsigned)vcpu_get(s->machine, VCPU_LDTR),
		vcpu_get(s->machine,
		VCPU_LDTR_BASE),
		vcpu_get(s->machine, VCPU_LDTR_LIMIT));
	return print_table(s, vcpu_get(s->machine, VCPU_LDTR_BASE), vcpu_get(s->machine, VCPU_LDTR_LIMIT), 4);
}

bool info_idt(struct session *s, const char *args)
{
	static const char *const types[16] = { [5] = "task gate", [6] = "16-bit interrupt", [7] = "16-bit trap",
		[14] = "interrupt",
		[15] = "trap" };
	uint64_t base = vcpu_get(s->machine, VCPU_IDTR_BASE), limit = vcpu_get(s->machine, VCPU_IDTR_LIMIT),
		first = number(args, 0),
		last = *args ? first : 255;
	bool protected = vcpu_get(s->machine, VCPU_CR0) & 1, wide = long_mode(s);
	unsigned size = !protected ? 4 : wide ? 16 : 8;
	char text[160];

	fprintf(s->out, "IDT at %" PRIx64 ", limit %" PRIx64 "\n", base, limit);
	for (uint64_t n = first; n <= last && n * size + size - 1 <= limit; n++) {
		uint64_t d[2] = { 0 }, to;
		unsigned type;

		if (vcpu_read_linear(s->machine, base + n * size, d, size) != size)
			return complaint(s, "%02x: not mapped", (unsigned)n);
		if (!protected) {
			fprintf(s->out, "%02x  %04x:%04x\n", (unsigned)n, (unsigned)(d[0] >> 16 & 0xffff),
				(unsigned)(d[0] & 0xffff));
			continue;
		}
		type = d[0] >> 40 & 31;
		to = (d[0] & 0xffff) | (d[0] >> 32 & 0xffff0000) | (wide ? d[1] << 32 : 0);
		if (!d[0])
			continue;
		fprintf(s->out, "%02x  %-9s %04x:%0*" PRIx64 "%s, DPL %u", (unsigned)n, type < 16 && types[type]
			? types[type] : "no gate",
			(unsigned)(d[0] >> 16 & 0xffff),
			wide ? 16 : 8, to, symbol_text(s, to, text, sizeof text), (unsigned)(d[0] >> 45 & 3));
		if (wide && d[0] >> 32 & 7)
			fprintf(s->out, ", IST %u", (unsigned)(d[0] >> 32 & 7));
		fprintf(s->out, "%s\n", d[0] >> 47 & 1 ? "" : ", NOT PRESENT");
	}
	return true;
}

/* SDM vol. 3, figures 8-2 and 8-11. */
bool info_tss(struct session *s, const char *args)
{
	uint64_t base = vcpu_get(s->machine, VCPU_TR_BASE), limit = vcpu_get(s->machine, VCPU_TR_LIMIT);
	unsigned char t[104] = { 0 };
	uint64_t q;
	uint32_t w;

	(void)args;
	if (!(vcpu_get(s->machine, VCPU_TR) & ~(uint64_t)3)) {
		fprintf(s->out, "there is no task: TR holds the null selector\n");
		return true;
	}
	fprintf(s->out, "TSS %04x at %" PRIx64 ", limit %" PRIx64 "\n", (unsigned)vcpu_get(s->machine, VCPU_TR), base,
		limit);
	if (vcpu_read_linear(s->machine, base, t, limit < 103 ? limit + 1 : 104) < 44)
		return complaint(s, "it is not mapped");
	if (long_mode(s)) {
		for (unsigned i = 0; i < 3; i++) {
			memcpy(&q, t + 4 + 8 * i, 8);
			fprintf(s->out, "RSP%u %016" PRIx64 "\n", i, q);
		}
		for (unsigned i = 1; i < 8; i++) {
			memcpy(&q, t + 28 + 8 * i, 8);
			fprintf(s->out, "IST%u %016" PRIx64 "\n", i, q);
		}
	} else {
		for (unsigned i = 0; i < 3; i++) {
			memcpy(&q, t + 4 + 8 * i, 8);
			fprintf(s->out, "SS%u:ESP%u %04x:%08x\n", i, i, (unsigned)(q >> 32 & 0xffff), (unsigned)q);
		}
		memcpy(&w, t + 28, 4);
		fprintf(s->out, "CR3 %08x\n", w);
	}
	memcpy(&w, t + 100, 4);
	fprintf(s->out, "I/O map at %x%s\n", w >> 16,
		(w >> 16) > limit ? ": none, all ports are denied to those above IOPL" : "");
	return true;
}

/* ---- mappings ---- */

/* What is to be shown: stretches of the same rights; of neighbouring physical pages, too; all entries. */
enum show { SHOW_RIGHTS, SHOW_PHYSICAL, SHOW_ENTRIES };
struct map { enum show show; uint64_t from, to, physical; unsigned rights; };
enum { W = 1, U = 2, NX = 4 };

static void print_map(struct session *s, const struct map *m)
{
	if (m->to == m->from || m->show == SHOW_ENTRIES)
		return;
	fprintf(s->out, "%016" PRIx64 "-%016" PRIx64, m->from, m->to);
	if (m->show == SHOW_PHYSICAL)
		fprintf(s->out, " -> %09" PRIx64 "-%09" PRIx64, m->physical, m->physical + (m->to - m->from));
	fprintf(s->out, " %10" PRIu64 "K r%c%c %s\n", (m->to - m->from) >> 10, m->rights & W ? 'w' : '-',
		m->rights & NX ? '-' : 'x',
		m->rights & U ? "user" : "supervisor");
}

static void print_entry(struct session *s, unsigned level, unsigned index, uint64_t at, uint64_t e)
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

	fprintf(s->out, "%*s%s %03x %016" PRIx64 " = %016" PRIx64 " %s%s%s%s%s\n", (int)(2 * (4 - level)), "",
		names[level],
		index, at, e, e & 2 ? "w" : "-",
		e & 4 ? "u" : "s", e & 0x20 ? ", accessed" : "", e & 0x40 ? ", dirty" : "", level && e & 0x80
		? ", large" : "");
}

/* Tables can be shared, and lead to themselves, 512 times at each of five levels: after LEFT of them it is enough. */
static void walk(struct session *s, uint64_t table, int level, unsigned bits, uint64_t linear, unsigned rights,
	uint64_t from,
	uint64_t to, struct map *m, unsigned *left)
{
	unsigned size = bits == 9 ? 8 : 4, shift = 12 + bits * (unsigned)level, count = 1u << bits;
	bool lma = long_mode(s);
	unsigned char page[4096];

	if (bits == 9 && level == 2 && !lma)
		count = 4;
	if (!*left || vcpu_read_physical(s->machine, table, page, count * size) != count * size)
		return;
	--*left;
	for (unsigned i = 0; i < count; i++) {
		uint64_t e = 0, at = linear + ((uint64_t)i << shift), end = at + ((uint64_t)1 << shift), physical;
		unsigned here = rights;

		memcpy(&e, page + i * size, size);
		if (lma && at >> 47 & 1)
			at |= 0xffff000000000000, end = at + ((uint64_t)1 << shift);
		if (!(e & 1) || at > to || (end && end <= from) || enough(s))
			continue;
		if (!(bits == 9 && level == 2 && !lma)) {
			here &= ~((e & 2 ? 0 : W) | (e & 4 ? 0 : U));
			here |= size == 8 && e >> 63 ? NX : 0;
		}
		if (m->show == SHOW_ENTRIES)
			print_entry(s, (unsigned)level, i, at, e);
		if (level && !(e & 0x80 && level < 3)) {
			walk(s, e & (size == 8 ? 0xffffffffff000 : 0xfffff000), level - 1, bits, at, here, from, to, m,
			     left);
			continue;
		}
		physical = e & (size == 8 ? 0xffffffffff000 : 0xfffff000) & ~(((uint64_t)1 << shift) - 1);
		if (m->to != at || m->rights != here ||
		    (m->show == SHOW_PHYSICAL && m->physical + (at - m->from) != physical)) {
			print_map(s, m);
			*m = (struct map){ m->show, at, at, physical, here };
		}
		m->to = end;
	}
}

static bool show(struct session *s, const char *args, enum show what)
{
	uint64_t from = 0, to = UINT64_MAX, cr3 = vcpu_get(s->machine, VCPU_CR3), cr4 = vcpu_get(s->machine, VCPU_CR4);
	bool pae = cr4 & 0x20, lma = long_mode(s);
	struct map m = { .show = what };
	unsigned left = 100000;

	if (*args && !address(s, &args, &from))
		return false;
	if (*args && !address(s, &args, &to))
		return false;
	if (!(vcpu_get(s->machine, VCPU_CR0) >> 31)) {
		fprintf(s->out, "paging is off: linear addresses are physical\n");
		return true;
	}
	s->interrupted = false;
	walk(s, cr3 & (pae ? lma ? 0xffffffffff000 : 0xffffffe0 : 0xfffff000),
	     lma   ? cr4 & 0x1000 ? 4 : 3
	     : pae ? 2
		   : 1,
	     pae ? 9 : 10, 0, W | U, from, to, &m, &left);
	print_map(s, &m);
	if (!left)
		fprintf(s->out, "... and so on: with FROM TO, a part\n");
	return true;
}

bool info_maps(struct session *s, const char *args) { return show(s, args, SHOW_RIGHTS); }
bool info_tab(struct session *s, const char *args) { return show(s, args, SHOW_PHYSICAL); }
bool info_pages(struct session *s, const char *args) { return show(s, args, SHOW_ENTRIES); }

/* ---- the TLB ---- */

struct span { struct session *s; uint64_t from, to; unsigned count, stale; };

static void print_translation(void *user, const struct vcpu_debug_translation *t)
{
	struct span *span = user;
	struct session *s = span->s;
	struct walk_entry walk[5], *e;
	unsigned n;
	uint64_t size, physical;

	if (t->linear < span->from || t->linear > span->to)
		return;
	span->count++;
	fprintf(s->out, "%016" PRIx64 " %09" PRIx64 " %c%c%c %s%s", t->linear, t->physical, t->read ? 'r' : '-',
		t->write ? 'w' : '-',
		t->execute ? 'x' : '-',
		t->user ? "user" : "supervisor", t->global ? ", global" : "");
	if (t->size > 4096)
		fprintf(s->out, ", of a page of %" PRIu64 "M", t->size >> 20);
	n = walk_to(s, t->linear, walk);
	e = n ? &walk[n - 1] : NULL;
	if (e && !(e->value & 1)) {
		fprintf(s->out, ", STALE: it is not mapped any more");
		span->stale++;
	} else if (e && !e->missing) {
		size = (uint64_t)1 << (12 + (vcpu_get(s->machine, VCPU_CR4) & 0x20 ? 9 : 10) * e->level);
		physical = (e->value & 0xffffffffff000 & ~(size - 1)) | (t->linear & (size - 1));
		if (physical != t->physical) {
			fprintf(s->out, ", STALE: the tables lead to %" PRIx64, physical);
			span->stale++;
		}
	}
	fputc('\n', s->out);
}

bool info_tlb(struct session *s, const char *args)
{
	struct span span = { s, 0, UINT64_MAX, 0, 0 };

	if (*args && !address(s, &args, &span.from))
		return false;
	if (*args && !address(s, &args, &span.to))
		return false;
	vcpu_debug_tlb(s->debug, print_translation, &span);
	fprintf(s->out, "%u translations%s\n", span.count, span.stale ?
		"; stale ones are right until INVLPG or a write to CR3 (SDM vol. 3, 4.10)" : "");
	return true;
}

/* ---- interrupts ---- */

static void print_vectors(struct session *s, const char *part, const char *field, const char *what)
{
	uint64_t word;

	for (unsigned i = 0; i < 8; i++) {
		if (!field_value(s, part, field, i, &word))
			return;
		for (unsigned b = 0; b < 32; b++)
			if (word >> b & 1)
				fprintf(s->out, "vector 0x%02x %s\n", 32 * i + b, what);
	}
}

bool info_pending(struct session *s, const char *args)
{
	static const char *const pic[2][5] = {
		{ "chip[MASTER].latch", "chip[MASTER].lines", "chip[MASTER].elcr", "chip[MASTER].imr",
			"chip[MASTER].isr" },
		{ "chip[SLAVE].latch", "chip[SLAVE].lines", "chip[SLAVE].elcr", "chip[SLAVE].imr", "chip[SLAVE].isr" },
	};
	unsigned cpu = vcpu_running(s->machine);
	char part[16], apic[16];
	uint64_t irr, lines, elcr, imr, isr, value;
	bool any_if = vcpu_get(s->machine, VCPU_RFLAGS) >> 9 & 1;

	(void)args;
	snprintf(part, sizeof part, "cpu%u", cpu);
	snprintf(apic, sizeof apic, "apic%u", cpu);
	fprintf(s->out, "processor %u: IF is %s\n", cpu, any_if ? "set" : "clear, which holds interrupts up");
	if (field_value(s, part, "intr", 0, &value) && value)
		fprintf(s->out, "the INTR pin is high\n");
	if (field_value(s, part, "nmi_pending", 0, &value) && value)
		fprintf(s->out, "an NMI is pending%s\n", field_value(s, part, "nmi_blocked", 0, &value) && value ?
			", held up by one that has not returned" : "");
	print_vectors(s, apic, "irr", "is pending in the local APIC");
	print_vectors(s, apic, "isr", "is in service");
	for (unsigned i = 0; i < 2; i++) {
		const char *const *f = pic[i];

		if (!field_value(s, "pic", f[0], 0, &irr) || !field_value(s, "pic", f[1], 0, &lines) ||
		    !field_value(s, "pic", f[2], 0, &elcr) || !field_value(s, "pic", f[3], 0, &imr) ||
		    !field_value(s, "pic", f[4], 0, &isr))
			break;
		irr |= lines & elcr;
		for (unsigned b = 0; b < 8; b++)
			if ((irr | isr) >> b & 1)
				fprintf(s->out, "IRQ %u%s%s%s\n", 8 * i + b,
					irr >> b & 1 ? " is requested at the 8259" : "",
					irr & imr & 1u << b ? ", which masks it" : "",
					isr >> b & 1 ? ", and in service" : "");
	}
	return true;
}
