/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnosis.h"

struct words { vcpu *machine; char *text; };

__attribute__((format(printf, 2, 3)))
static void say(struct words *w, const char *format, ...)
{
	size_t n = strlen(w->text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(w->text + n, DIAGNOSIS - n, format, ap);
	va_end(ap);
}

static uint64_t get(const struct words *w, int reg) { return vcpu_get(w->machine, reg); }
static bool has(const struct vcpu_fault *f, const char *words) { return f->why && strstr(f->why, words); }

/* ---- places ---- */

static uint64_t linear_rip(const struct words *w, const struct vcpu_fault *f)
{
	return get(w, VCPU_CODE_BITS) == 64 ? f->rip : (uint32_t)(f->rip + get(w, VCPU_CS_BASE));
}

static bool in_table(const struct words *w, uint64_t address, int base, int limit)
{
	return address - get(w, base) <= get(w, limit);
}

/* Is ADDRESS near the stack pointer, as in a PUSH, POP, CALL or RET? */
static bool at_stack(const struct words *w, uint64_t address)
{
	enum { NEAR = 128 };

	return address - (get(w, VCPU_RSP) + get(w, VCPU_SS_BASE) - NEAR) <= 2 * NEAR;
}

/* ---- the first fault ---- */

static bool is_sse(const unsigned char *code)
{
	bool prefix = false;

	for (; *code == 0x66 || *code == 0xf2 || *code == 0xf3 || (*code & 0xf0) == 0x40; code++)
		prefix |= (*code & 0xf0) != 0x40;
	if (*code++ != 0x0f)
		return false;
	return (*code >= 0x10 && *code <= 0x17) || (*code >= 0x28 && *code <= 0x2f) ||
		(*code >= 0x50 && *code <= 0x5f) ||
		*code == 0xc2 || *code == 0xc6 ||
		(prefix && ((*code >= 0x60 && *code <= 0x7f) || *code >= 0xd0));
}

static void undefined(struct words *w, const unsigned char *code)
{
	uint64_t cr0 = get(w, VCPU_CR0), cr4 = get(w, VCPU_CR4);

	if (is_sse(code) && (cr0 & 4 || !(cr4 & 0x200)))
		say(w, "an SSE instruction, but %s",
		    cr0 & 4 ? "CR0.EM is set" : "CR4.OSFXSR is clear: SSE has not been enabled");
	else if (code[0] == 0x0f && code[1] == 0x0b)
		say(w, "UD2, which compilers put where execution must not come");
	else
		say(w, "no instruction of this mode (%02x %02x %02x)", code[0], code[1], code[2]);
}

static void paged(struct words *w, const struct vcpu_fault *f, uint64_t rip)
{
	const char *not = f->error & 1 ? "which its page does not allow" : "which is not mapped";
	unsigned char code[3] = { 0 }, byte;

	vcpu_read_linear(w->machine, rip, code, sizeof code);
	if (f->cr2 == rip) {
		size_t n = vcpu_read_physical(w->machine, rip - 3, code, sizeof code);

		if (n == 3 && code[0] == 0x0f && code[1] == 0x22 && (code[2] & 0xf8) == 0xc0)
			say(w,
			    "paging is on, and the page of the next instruction itself, %08" PRIx64 ", is not mapped",
			    f->cr2);
		else
			say(w, "the guest has jumped to %" PRIx64 ", %s%s", f->cr2, not,
				rip < 0x1000 ? ": a null function pointer, or a RET to 0" : "");
	} else if (f->error & 2 && at_stack(w, f->cr2)) {
		say(w, "the stack, ESP %08" PRIx64 ", leads to %08" PRIx64 ", %s", get(w, VCPU_RSP), f->cr2, not);
		if (f->cr2 >> 12 != get(w, VCPU_RSP) >> 12 &&
		    vcpu_read_linear(w->machine, get(w, VCPU_RSP) + get(w, VCPU_SS_BASE), &byte, 1) == 1)
			say(w, ": a stack overflow, as the page above is mapped");
	} else {
		say(w, "a %s address %08" PRIx64 ", %s%s", f->error & 2 ? "write to" : "read of", f->cr2, not,
			f->cr2 < 0x1000 ? ": a null pointer" : "");
	}
}

/* Describe IRET and the frame that it pops. False: CODE is no IRET. */
static bool iret(struct words *w, const struct vcpu_fault *f, const unsigned char *code)
{
	unsigned bits = (unsigned)get(w, VCPU_CODE_BITS), size;
	uint64_t frame[3] = { 0 }, at = get(w, VCPU_RSP) + (bits == 64 ? 0 : get(w, VCPU_SS_BASE));
	bool wide = false;

	for (; *code == 0x66 || (bits == 64 && (*code & 0xf0) == 0x40); code++)
		wide = true;
	if (*code != 0xcf)
		return false;
	size = bits == 64 ? wide ? 8 : 4 : (bits == 32) != wide ? 4 : 2;
	for (unsigned i = 0; i < 3; i++)
		vcpu_read_linear(w->machine, at + i * size, &frame[i], size);
	say(w, "IRET found CS %04" PRIx64 ", EIP %08" PRIx64 ", EFLAGS %08" PRIx64 " on the stack: %s",
		frame[1] & 0xffff,
		frame[0], frame[2],
		f->why ? f->why : "no such frame");
	return true;
}

/* Describe the IDT, which has no gate for VECTOR. */
static void idt(struct words *w, unsigned vector, const char *why)
{
	uint64_t base = get(w, VCPU_IDTR_BASE), limit = get(w, VCPU_IDTR_LIMIT);

	if (!limit)
		say(w, "there is no IDT: LIDT has not been executed");
	else if (!base && limit == 0x3ff)
		say(w, "the IDT is still the table of real mode at 0: LIDT has not been executed");
	else if (strstr(why, "limit of the IDT"))
		say(w, "vector %u is beyond the limit %" PRIx64 " of the IDT, which has %" PRIu64 " gates: "
			"the limit is bytes less one", vector, limit,
			(limit + 1) / (get(w, VCPU_EFER) & 0x400 ? 16 : 8));
	else
		say(w, "IDT entry %u: %s", vector, why);
}

static void through_idt(struct words *w, const struct vcpu_fault *f)
{
	unsigned vector = f->error >> 3 & 0xff;

	if (!(f->error & 1))
		say(w, "INT %u: ", vector);
	else if (vector >= 8 && vector < 16)
		say(w, "IRQ %u came through vector %u, an exception's: the 8259 has not been remapped; ", vector - 8,
		    vector);
	else
		say(w, "an interrupt came through vector %u: ", vector);
	idt(w, vector, f->why ? f->why : "it is no gate");
}

static void protection(struct words *w, const struct vcpu_fault *f, const unsigned char *code)
{
	static const char *const names[] = { [10] = "an invalid TSS", [11] = "a segment that is not present",
		[12] = "a stack fault",
		[13] = "general protection" };

	if (f->error & 2) {
		through_idt(w, f);
	} else if (f->vector == 10 && !(get(w, VCPU_TR) & 0xfffc)) {
		if (code[0] == 0xcd)
			say(w, "INT %u ", code[1]);
		say(w, "at CPL %" PRIu64 " needs the kernel's stack, and there is no TSS: LTR has not been executed",
			get(w, VCPU_CPL));
	} else if (!iret(w, f, code)) {
		say(w, "%s",
		    get(w, VCPU_CPL) == 3 && (has(f, "CPL") || has(f, "ring 0")) ? "a privileged instruction at CPL 3"
										 : names[f->vector]);
		if (f->error & 0xfff8)
			say(w, ", selector %04" PRIx32, f->error & 0xfffc);
		if (f->why)
			say(w, ": %s", f->why);
	}
}

static void first(struct words *w, const struct vcpu_fault *f)
{
	uint64_t rip = linear_rip(w, f);
	unsigned char code[16] = { 0 };

	vcpu_read_linear(w->machine, rip, code, sizeof code - 1);
	if (rip < 0x400 && f->vector != 14 && get(w, VCPU_CR0) & 1)
		say(w,
		    "the guest runs at address %" PRIx64
		    ": a call through a null pointer, or a RET to 0; it came to %s",
		    rip, f->text);
	else if (f->vector == 0)
		say(w, "a division by zero, or a quotient that its register cannot hold");
	else if (f->vector == 6)
		undefined(w, code);
	else if (f->vector == 14)
		paged(w, f, rip);
	else if (f->vector >= 10 && f->vector <= 13)
		protection(w, f, code);
	else
		say(w, "%s", f->text);
	say(w, " (at %04x:%08" PRIx64 ")", f->cs, f->rip);
	if (vcpu_kernel_bits(w->machine) == 64 && get(w, VCPU_CR0) & 1 && !(get(w, VCPU_EFER) & 0x400))
		say(w, "; the kernel is a 64-bit one, and the processor is still in 32-bit mode, as at its entry");
}

/* ---- its handler ---- */

/* Describe F, which was raised while the handler of VECTOR was to be entered. */
static void handler(struct words *w, const struct vcpu_fault *f, unsigned vector)
{
	say(w, "; ");
	if (f->vector == 14 && in_table(w, f->cr2, VCPU_IDTR_BASE, VCPU_IDTR_LIMIT))
		say(w, "the IDT at %08" PRIx64 " is not mapped", get(w, VCPU_IDTR_BASE));
	else if (f->vector == 14 && in_table(w, f->cr2, VCPU_GDTR_BASE, VCPU_GDTR_LIMIT))
		say(w, "the GDT at %08" PRIx64 " is not mapped", get(w, VCPU_GDTR_BASE));
	else if (f->vector == 14 && at_stack(w, f->cr2))
		say(w, "its handler cannot be entered, as the stack of it is not mapped");
	else if (f->error & 2 && f->why && (strstr(f->why, "limit of the IDT") ||
		(!get(w, VCPU_IDTR_BASE) && get(w, VCPU_IDTR_LIMIT) == 0x3ff)))
		idt(w, vector, f->why);
	else if (f->error & 2)
		say(w, "its handler cannot be entered: IDT entry %u: %s", vector, f->why ? f->why : f->text);
	else if (f->error & 0xfff8)
		say(w, "its handler cannot be entered: selector %04" PRIx32 " in IDT entry %u: %s", f->error & 0xfffc,
			vector,
			f->why ? f->why : f->text);
	else
		say(w, "its handler cannot be entered: %s", f->text);
}

bool diagnosis_triple_fault(vcpu *machine, char text[DIAGNOSIS])
{
	struct words w = { machine, text };
	struct vcpu_fault f[2];
	unsigned n = vcpu_fault_chain(machine, f, 2);

	*text = 0;
	if (!n)
		return false;
	vcpu_select(machine, vcpu_running(machine));
	first(&w, &f[0]);
	if (n > 1 && f[0].vector != 10 && !(f[0].vector == 13 && f[0].error & 2))
		handler(&w, &f[1], f[0].vector);
	return true;
}

/* ---- asleep ---- */

struct wanted { const char *part, *field; unsigned index; uint64_t value; };

static void look(void *user, const char *part, const char *field, unsigned index, uint64_t value)
{
	struct wanted *w = user;

	if (index == w->index && !strcmp(part, w->part) && !strcmp(field, w->field))
		w->value = value;
}

static unsigned field(const vcpu_debug *debug, const char *part, const char *name, unsigned index)
{
	struct wanted w = { part, name, index, 0 };

	vcpu_debug_fields(debug, look, &w);
	return (unsigned)w.value;
}

/* A register of both 8259As: bit N is IRQ N, 0 to 15. */
static unsigned pic(const vcpu_debug *debug, const char *name)
{
	char master[32], slave[32];

	snprintf(master, sizeof master, "chip[MASTER].%s", name);
	snprintf(slave, sizeof slave, "chip[SLAVE].%s", name);
	return (field(debug, "pic", master, 0) & 0xff) | (field(debug, "pic", slave, 0) & 0xff) << 8;
}

bool diagnosis_asleep(vcpu *machine, const vcpu_debug *debug, bool for_ever, char text[DIAGNOSIS])
{
	enum { SLAVES = 1 << 2, ACTIVITY_HALT = 1, LINT0 = 3, LVT_MASKED = 0x10000 };
	unsigned isr, held;
	struct words w = { machine, text };

	*text = 0;
	if (!debug || vcpu_processors(machine) != 1 || field(debug, "cpu0", "activity", 0) != ACTIVITY_HALT)
		return false;
	if (!(get(&w, VCPU_RFLAGS) & 0x200)) {
		say(&w, "HLT with interrupts off (IF is clear)");
		return true;
	}
	isr = pic(debug, "isr");
	held = (pic(debug, "latch") | pic(debug, "lines")) & pic(debug, "imr") & ~(unsigned)SLAVES;
	for (unsigned i = 0; i < 16; i++)
		if (isr & ~(unsigned)SLAVES & 1u << i) {
			say(&w, "IRQ %u is in service at the 8259, and no other comes: its handler has sent no EOI, 20h to port 20h%s", i,
				i < 8 ? "" : " and A0h");
			return true;
		}
	if (for_ever || field(debug, "apic0", "lvt",
		LINT0) & LVT_MASKED) /* no device has an event; or the guest does not use the 8259 */
		held = 0;
	for (unsigned i = 0; i < 16; i++)
		if (held & 1u << i) {
			say(&w, "IRQ %u is requested, but masked at the 8259: bit %u of port %s", i, i % 8,
			    i < 8 ? "21h" : "A1h");
			return true;
		}
	if (for_ever)
		say(&w, "HLT with interrupts on, and no device is going to send one");
	return for_ever;
}
