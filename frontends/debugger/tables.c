/* SPDX-License-Identifier: MIT */
/* The processor's tables: descriptors, tasks, mappings, interrupts on their way. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
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
	unsigned type = d >> 40 & 15;
	bool wide = long_mode(s), code_or_data = d >> 44 & 1;

	if (d >> 55 & 1)
		limit = limit << 12 | 0xfff;
	json_open(s, NULL, '{');
	SHOW_HEX(s, "selector", "%04" PRIx64 "  ", selector);
	if (!code_or_data) {
		SHOW_STRING(s, "kind", "%s", system[type]);
		base |= wide ? high << 32 : 0;
	} else if (type & 8) {
		SHOW_NUMBER(s, "bits", "%" PRIu64 "-bit ", d >> 53 & 1 ? 64 : d >> 54 & 1 ? 32 : 16);
		show_flag(s, "conforming", type & 4, "conforming ", "");
		SHOW_STRING(s, "kind", "%s", "code");
		show_flag(s, "readable", type & 2, "", " that cannot be read");
	} else {
		show_flag(s, "writable", type & 2, "writable", "read-only");
		show_flag(s, "expand_down", type & 4, ", expand-down", "");
		SHOW_STRING(s, "kind", " %s", "data");
	}
	if (!code_or_data && (type == 4 || type == 12)) {
		SHOW_HEX(s, "to_selector", " to %04" PRIx64, d >> 16 & 0xffff);
		SHOW_HEX(s, "to", ":%" PRIx64, (d & 0xffff) | (d >> 32 & 0xffff0000) | (wide ? high << 32 : 0));
	} else {
		if (wide && !code_or_data)
			SHOW_HEX(s, "base", ", base %016" PRIx64, base);
		else
			SHOW_HEX(s, "base", ", base %08" PRIx64, base);
		SHOW_HEX(s, "limit", ", limit %" PRIx64, limit);
	}
	SHOW_NUMBER(s, "dpl", ", DPL %" PRIu64, d >> 45 & 3);
	show_flag(s, "present", d >> 47 & 1, "", ", NOT PRESENT");
	if (code_or_data)
		show_flag(s, "accessed", type & 1, ", accessed", "");
	fputc('\n', s->out);
	json_close(s);
}

static bool print_entries(struct session *s, uint64_t base, uint64_t limit, unsigned ti)
{
	uint64_t d[2];

	for (uint64_t at = 0; at + 7 <= limit && at < 0x10000; at += 8) {
		d[1] = 0;
		if (vcpu_read_linear(s->machine, base + at, d, 8) != 8)
			return complaint(s, "%" PRIx64 ": not mapped", base + at);
		if (!d[0])
			continue;
		if (long_mode(s) && !(d[0] >> 44 & 1) && at + 15 <= limit) { /* it has 16 bytes */
			vcpu_read_linear(s->machine, base + at + 8, &d[1], 8);
			print_segment(s, (unsigned)at | ti, d[0], d[1]);
			at += 8;
			continue;
		}
		print_segment(s, (unsigned)at | ti, d[0], 0);
	}
	return true;
}

static void print_base(struct session *s, uint64_t base, uint64_t limit)
{
	SHOW_HEX(s, "base", " at %" PRIx64, base);
	SHOW_HEX(s, "limit", ", limit %" PRIx64 "\n", limit);
}

static bool print_table(struct session *s, uint64_t base, uint64_t limit, unsigned ti)
{
	bool ok;

	print_base(s, base, limit);
	json_open(s, "descriptors", '[');
	ok = print_entries(s, base, limit, ti);
	json_close(s);
	return ok;
}

bool info_gdt(struct session *s, const char *args)
{
	bool ok;

	(void)args;
	fputs("GDT", s->out);
	json_open(s, "gdt", '{');
	ok = print_table(s, vcpu_get(s->machine, VCPU_GDTR_BASE), vcpu_get(s->machine, VCPU_GDTR_LIMIT), 0);
	json_close(s);
	return ok;
}

bool info_ldt(struct session *s, const char *args)
{
	uint64_t selector = vcpu_get(s->machine, VCPU_LDTR);
	bool ok = true;

	(void)args;
	json_open(s, "ldt", '{');
	if (selector & ~(uint64_t)3) {
		SHOW_HEX(s, "selector", "LDT %04" PRIx64, selector);
		ok = print_table(s, vcpu_get(s->machine, VCPU_LDTR_BASE), vcpu_get(s->machine, VCPU_LDTR_LIMIT), 4);
	} else {
		fputs("there is no LDT: LDTR holds the null selector\n", s->out);
		json_hex(s, "selector", selector);
	}
	json_close(s);
	return ok;
}

static void print_vector(struct session *s, unsigned n, const uint64_t d[2], bool protected, bool wide)
{
	static const char *const types[16] = { [5] = "task gate", [6] = "16-bit interrupt", [7] = "16-bit trap",
		[14] = "interrupt",
		[15] = "trap" };
	unsigned type = d[0] >> 40 & 31;
	uint64_t to = (d[0] & 0xffff) | (d[0] >> 32 & 0xffff0000) | (wide ? d[1] << 32 : 0);

	if (protected && !d[0])
		return;
	json_open(s, NULL, '{');
	SHOW_NUMBER(s, "vector", "%02" PRIx64 "  ", n);
	if (protected)
		SHOW_STRING(s, "kind", "%-9s ", type < 16 && types[type] ? types[type] : "no gate");
	SHOW_HEX(s, "selector", "%04" PRIx64 ":", d[0] >> 16 & 0xffff);
	if (!protected) {
		SHOW_HEX(s, "to", "%04" PRIx64, d[0] & 0xffff);
	} else {
		if (wide)
			SHOW_HEX(s, "to", "%016" PRIx64, to);
		else
			SHOW_HEX(s, "to", "%08" PRIx64, to);
		show_symbol(s, to);
		SHOW_NUMBER(s, "dpl", ", DPL %" PRIu64, d[0] >> 45 & 3);
		if (wide && d[0] >> 32 & 7)
			SHOW_NUMBER(s, "ist", ", IST %" PRIu64, d[0] >> 32 & 7);
		show_flag(s, "present", d[0] >> 47 & 1, "", ", NOT PRESENT");
	}
	fputc('\n', s->out);
	json_close(s);
}

bool info_idt(struct session *s, const char *args)
{
	uint64_t base = vcpu_get(s->machine, VCPU_IDTR_BASE), limit = vcpu_get(s->machine, VCPU_IDTR_LIMIT),
		first = number(args, 0),
		last = *args ? first : 255;
	bool protected = vcpu_get(s->machine, VCPU_CR0) & 1, wide = long_mode(s), ok = true;
	unsigned size = !protected ? 4 : wide ? 16 : 8;

	fputs("IDT", s->out);
	json_open(s, "idt", '{');
	print_base(s, base, limit);
	json_open(s, "gates", '[');
	for (uint64_t n = first; ok && n <= last && n * size + size - 1 <= limit; n++) {
		uint64_t d[2] = { 0 };

		if (vcpu_read_linear(s->machine, base + n * size, d, size) == size)
			print_vector(s, (unsigned)n, d, protected, wide);
		else
			ok = complaint(s, "%02x: not mapped", (unsigned)n);
	}
	json_close(s);
	json_close(s);
	return ok;
}

/* SDM vol. 3, figures 8-2 and 8-11. */
static void print_stacks(struct session *s, const unsigned char t[104])
{
	uint64_t q;
	uint32_t w;

	json_open(s, "stacks", '[');
	for (unsigned i = 0; i < 3; i++) {
		memcpy(&q, t + 4 + 8 * i, 8);
		if (long_mode(s)) {
			fprintf(s->out, "RSP%u ", i);
			SHOW_HEX(s, NULL, "%016" PRIx64 "\n", q);
			continue;
		}
		fprintf(s->out, "SS%u:ESP%u ", i, i);
		json_open(s, NULL, '{');
		SHOW_HEX(s, "ss", "%04" PRIx64 ":", q >> 32 & 0xffff);
		SHOW_HEX(s, "esp", "%08" PRIx64 "\n", (uint32_t)q);
		json_close(s);
	}
	json_close(s);
	if (!long_mode(s)) {
		memcpy(&w, t + 28, 4);
		SHOW_HEX(s, "cr3", "CR3 %08" PRIx64 "\n", w);
		return;
	}
	json_open(s, "ist", '[');
	for (unsigned i = 1; i < 8; i++) {
		memcpy(&q, t + 28 + 8 * i, 8);
		fprintf(s->out, "IST%u ", i);
		SHOW_HEX(s, NULL, "%016" PRIx64 "\n", q);
	}
	json_close(s);
}

static bool print_tss(struct session *s)
{
	uint64_t base = vcpu_get(s->machine, VCPU_TR_BASE), limit = vcpu_get(s->machine, VCPU_TR_LIMIT);
	unsigned char t[104] = { 0 };
	uint32_t w;

	if (!(vcpu_get(s->machine, VCPU_TR) & ~(uint64_t)3)) {
		fputs("there is no task: TR holds the null selector\n", s->out);
		json_hex(s, "selector", 0);
		return true;
	}
	SHOW_HEX(s, "selector", "TSS %04" PRIx64, vcpu_get(s->machine, VCPU_TR));
	print_base(s, base, limit);
	if (vcpu_read_linear(s->machine, base, t, limit < 103 ? limit + 1 : 104) < 44)
		return complaint(s, "this address is not mapped");
	print_stacks(s, t);
	memcpy(&w, t + 100, 4);
	SHOW_HEX(s, "io_map", "I/O map at %" PRIx64, w >> 16);
	fputs((w >> 16) > limit ? ": none, all ports are denied to those above IOPL\n" : "\n", s->out);
	return true;
}

bool info_tss(struct session *s, const char *args)
{
	bool ok;

	(void)args;
	json_open(s, "tss", '{');
	ok = print_tss(s);
	json_close(s);
	return ok;
}

/* ---- mappings ---- */

/* Print ranges of equal rights; ranges that are contiguous in physical memory, too; or each entry. */
enum show { SHOW_RIGHTS, SHOW_PHYSICAL, SHOW_ENTRIES };
struct map { enum show show; uint64_t from, to, physical; unsigned rights; };
enum { W = 1, U = 2, NX = 4 };

static void print_rights(struct session *s, bool write, bool execute, bool user)
{
	show_flag(s, "write", write, "w", "-");
	show_flag(s, "execute", execute, "x", "-");
	show_flag(s, "user", user, " user", " supervisor");
}

static void print_map(struct session *s, const struct map *m)
{
	uint64_t size = m->to - m->from;

	if (!size || m->show == SHOW_ENTRIES)
		return;
	json_open(s, NULL, '{');
	SHOW_HEX(s, "from", "%016" PRIx64, m->from);
	SHOW_HEX(s, "to", "-%016" PRIx64, m->to);
	if (m->show == SHOW_PHYSICAL) {
		SHOW_HEX(s, "physical", " -> %09" PRIx64, m->physical);
		fprintf(s->out, "-%09" PRIx64, m->physical + size);
	}
	SHOW_NUMBER(s, "kib", " %10" PRIu64 "K r", size >> 10);
	print_rights(s, m->rights & W, !(m->rights & NX), m->rights & U);
	fputc('\n', s->out);
	json_close(s);
}

static void print_entry(struct session *s, unsigned level, unsigned index, uint64_t at, uint64_t e)
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

	json_open(s, NULL, '{');
	fprintf(s->out, "%*s", (int)(2 * (4 - level)), "");
	SHOW_STRING(s, "name", "%s", names[level]);
	SHOW_NUMBER(s, "index", " %03" PRIx64, index);
	SHOW_HEX(s, "linear", " %016" PRIx64, at);
	SHOW_HEX(s, "value", " = %016" PRIx64 " ", e);
	show_flag(s, "write", e & 2, "w", "-");
	show_flag(s, "user", e & 4, "u", "s");
	show_flag(s, "accessed", e & 0x20, ", accessed", "");
	show_flag(s, "dirty", e & 0x40, ", dirty", "");
	show_flag(s, "large", level && e & 0x80, ", large", "");
	fputc('\n', s->out);
	json_close(s);
}

/* Walk the tables. They can be shared, and refer to themselves, 512 times at each of five levels, so the walk ends
 * after LEFT tables. */
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
	bool pae = cr4 & 0x20, lma = long_mode(s), paging = vcpu_get(s->machine, VCPU_CR0) >> 31;
	struct map m = { .show = what };
	unsigned left = 100000;

	if (*args && !address(s, &args, &from))
		return false;
	if (*args && !address(s, &args, &to))
		return false;
	show_flag(s, "paging", paging, "", "paging is off: linear addresses are physical\n");
	if (!paging)
		return true;
	s->interrupted = false;
	json_open(s, what == SHOW_ENTRIES ? "entries" : "maps", '[');
	walk(s, cr3 & (pae ? lma ? 0xffffffffff000 : 0xffffffe0 : 0xfffff000),
	     lma   ? cr4 & 0x1000 ? 4 : 3
	     : pae ? 2
		   : 1,
	     pae ? 9 : 10, 0, W | U, from, to, &m, &left);
	print_map(s, &m);
	json_close(s);
	show_flag(s, "complete", left, "", "... and so on: with FROM TO, a part\n");
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
	bool stale = false;

	if (t->linear < span->from || t->linear > span->to)
		return;
	span->count++;
	json_open(s, NULL, '{');
	SHOW_HEX(s, "linear", "%016" PRIx64, t->linear);
	SHOW_HEX(s, "physical", " %09" PRIx64 " ", t->physical);
	show_flag(s, "read", t->read, "r", "-");
	print_rights(s, t->write, t->execute, t->user);
	show_flag(s, "global", t->global, ", global", "");
	if (t->size > 4096)
		fprintf(s->out, ", of a page of %" PRIu64 "M", t->size >> 20);
	json_number(s, "page", (int64_t)t->size);
	n = walk_to(s, t->linear, walk);
	e = n ? &walk[n - 1] : NULL;
	if (e && !(e->value & 1)) {
		fputs(", STALE: it is not mapped any more", s->out);
		stale = true;
	} else if (e && !e->missing) {
		size = (uint64_t)1 << (12 + (vcpu_get(s->machine, VCPU_CR4) & 0x20 ? 9 : 10) * e->level);
		physical = (e->value & 0xffffffffff000 & ~(size - 1)) | (t->linear & (size - 1));
		stale = physical != t->physical;
		if (stale)
			SHOW_HEX(s, "now", ", STALE: the tables lead to %" PRIx64, physical);
	}
	json_bool(s, "stale", stale);
	span->stale += stale;
	fputc('\n', s->out);
	json_close(s);
}

bool info_tlb(struct session *s, const char *args)
{
	struct span span = { s, 0, UINT64_MAX, 0, 0 };

	if (*args && !address(s, &args, &span.from))
		return false;
	if (*args && !address(s, &args, &span.to))
		return false;
	json_open(s, "tlb", '[');
	vcpu_debug_tlb(s->debug, print_translation, &span);
	json_close(s);
	fprintf(s->out, "%u translations%s\n", span.count, span.stale ?
		"; stale ones are right until INVLPG or a write to CR3 (SDM vol. 3, 4.10)" : "");
	return true;
}

/* ---- VMCS and VMCB ---- */

/* The fields of one type, bits 11-10 of the encoding (SDM vol. 3, 24.11.2), whose name has NAME in it. */
struct chosen { struct session *s; const char *name; unsigned type, count; };
static const char *const vmcs_types[] = { "controls (24.6 to 24.8)", "exit information (24.9)",
					  "guest state (24.4)", "host state (24.5)" };

/* What the value means, in lines of WIDTH behind the numbers, broken at blanks. */
static void print_meaning(struct session *s, const char *text)
{
	enum { COLUMN = 51, WIDTH = 68 };

	while (strlen(text) > WIDTH) {
		int n = WIDTH;

		while (n && text[n] != ' ')
			n--;
		if (!n)
			break;
		fprintf(s->out, "%.*s\n%*s", n, text, COLUMN, "");
		text += n + 1;
	}
	fprintf(s->out, "%s\n", text);
}

/* The rest of the line of a field, in the JSON object of it. */
static void print_value(struct session *s, uint32_t encoding, const char *name, uint64_t value)
{
	char text[1024];

	vcpu_vmcs_text(encoding, value, text, sizeof text);
	SHOW_STRING(s, "name", "  %-25s", name);
	SHOW_HEX(s, "value", *text ? " %-16" PRIx64 " " : " %" PRIx64 "\n", value);
	if (*text) {
		json_cstring(s, "text", text);
		print_meaning(s, text);
	}
}

static void print_field(void *user, const char *name, uint32_t encoding, uint64_t value)
{
	struct chosen *chosen = user;
	struct session *s = chosen->s;

	if ((encoding >> 10 & 3) != chosen->type || !strcasestr(name, chosen->name))
		return;
	if (!chosen->count++)
		fprintf(s->out, "%s\n", vmcs_types[chosen->type]);
	json_open(s, NULL, '{');
	SHOW_HEX(s, "encoding", "  %04" PRIx64, encoding);
	print_value(s, encoding, name, value);
	json_close(s);
}

bool info_vmcs(struct session *s, const char *args)
{
	bool there = false;

	json_open(s, "vmcs", '[');
	for (unsigned type = 0; type < 4; type++) {
		struct chosen chosen = { s, args, type, 0 };

		there = vcpu_debug_vmcs(s->debug, print_field, &chosen);
	}
	json_close(s);
	if (!there)
		fprintf(s->out, "the processor has no current VMCS (SDM vol. 3, 24.1)\n");
	return true;
}

static void print_vmcb_field(void *user, const char *name, uint32_t offset, uint64_t value)
{
	struct chosen *chosen = user;
	struct session *s = chosen->s;

	if (!strcasestr(name, chosen->name))
		return;
	json_open(s, NULL, '{');
	SHOW_HEX(s, "offset", "  %04" PRIx64, offset);
	print_value(s, VCPU_SVM | offset, name, value);
	json_close(s);
}

bool info_vmcb(struct session *s, const char *args)
{
	struct chosen chosen = { s, args, 0, 0 };
	bool there;

	json_open(s, "vmcb", '[');
	there = vcpu_debug_vmcb(s->debug, print_vmcb_field, &chosen);
	json_close(s);
	if (!there)
		fprintf(s->out, "the processor has executed no VMRUN (APM vol. 2, 15.5)\n");
	return true;
}

/* ---- interrupts ---- */

static void print_vectors(struct session *s, const char *part, const char *field, const char *what)
{
	uint64_t word;

	json_open(s, field, '[');
	for (unsigned i = 0; i < 8 && field_value(s, part, field, i, &word); i++)
		for (unsigned b = 0; b < 32; b++)
			if (word >> b & 1) {
				SHOW_NUMBER(s, NULL, "vector 0x%02" PRIx64, 32 * i + b);
				fprintf(s->out, " %s\n", what);
			}
	json_close(s);
}

/* The IRQs from FIRST on, at one of the two 8259s. */
static void print_irqs(struct session *s, const char *chip, unsigned first)
{
	static const char *const names[] = { "latch", "lines", "elcr", "imr", "isr" };
	uint64_t v[5], irr;
	char name[64];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "chip[%s].%s", chip, names[i]);
		if (!field_value(s, "pic", name, 0, &v[i]))
			return;
	}
	irr = v[0] | (v[1] & v[2]);
	for (unsigned b = 0; b < 8; b++) {
		if (!((irr | v[4]) >> b & 1))
			continue;
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "irq", "IRQ %" PRIu64, first + b);
		show_flag(s, "requested", irr >> b & 1, " is requested at the 8259", "");
		show_flag(s, "masked", irr & v[3] & 1u << b, ", which masks it", "");
		show_flag(s, "in_service", v[4] >> b & 1, ", and in service", "");
		fputc('\n', s->out);
		json_close(s);
	}
}

bool info_pending(struct session *s, const char *args)
{
	unsigned cpu = vcpu_running(s->machine);
	char part[16], apic[16];
	uint64_t value, blocked;

	(void)args;
	snprintf(part, sizeof part, "cpu%u", cpu);
	snprintf(apic, sizeof apic, "apic%u", cpu);
	json_open(s, "pending", '{');
	SHOW_NUMBER(s, "processor", "processor %" PRIu64 ": IF is ", cpu);
	show_flag(s, "if", vcpu_get(s->machine, VCPU_RFLAGS) >> 9 & 1, "set\n", "clear, which holds interrupts up\n");
	show_flag(s, "intr", field_value(s, part, "intr", 0, &value) && value, "the INTR pin is high\n", "");
	if (field_value(s, part, "nmi_pending", 0, &value) && value) {
		show_flag(s, "nmi", true, "an NMI is pending", "");
		show_flag(s, "nmi_blocked", field_value(s, part, "nmi_blocked", 0, &blocked) && blocked,
			  ", held up by one that has not returned\n", "\n");
	}
	print_vectors(s, apic, "irr", "is pending in the local APIC");
	print_vectors(s, apic, "isr", "is in service");
	json_open(s, "irqs", '[');
	print_irqs(s, "MASTER", 0);
	print_irqs(s, "SLAVE", 8);
	json_close(s);
	json_close(s);
	return true;
}
