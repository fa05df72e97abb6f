/* SPDX-License-Identifier: MIT */
/* Exceptions in words: the check that failed, and its section of the SDM. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#if HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#include "debugger.h"
#include "diagnosis.h"

static const struct { const char *name, *text, *section; } vectors[32] = {
	[0] = { "#DE", "a division by zero, or a quotient that its register cannot hold", "6.15, Interrupt 0" },
	[1] = { "#DB", "a debug exception", "6.15, Interrupt 1; 17.2" },
	[2] = { "NMI", "a non-maskable interrupt", "6.15, Interrupt 2" },
	[3] = { "#BP", "INT3, a breakpoint of the guest's own", "6.15, Interrupt 3" },
	[4] = { "#OF", "INTO with OF set", "6.15, Interrupt 4" },
	[5] = { "#BR", "BOUND: the index is out of its bounds", "6.15, Interrupt 5" },
	[6] = { "#UD", "an undefined instruction, or one that is not allowed here", "6.15, Interrupt 6" },
	[7] = { "#NM", "the floating-point unit is not available", "6.15, Interrupt 7; 2.5" },
	[8] = { "#DF", "a fault while another was being delivered", "6.15, Interrupt 8; table 6-5" },
	[10] = { "#TS", "a task state segment that is not valid", "6.15, Interrupt 10" },
	[11] = { "#NP", "a segment or gate that is not present", "6.15, Interrupt 11" },
	[12] = { "#SS", "a stack fault", "6.15, Interrupt 12" },
	[13] = { "#GP", "a general protection fault", "6.15, Interrupt 13" },
	[14] = { "#PF", "a page fault", "6.15, Interrupt 14; 4.7" },
	[16] = { "#MF", "an x87 exception that is not masked", "6.15, Interrupt 16; vol. 1, 8.7" },
	[17] = { "#AC", "an unaligned access with CR0.AM and EFLAGS.AC", "6.15, Interrupt 17" },
	[18] = { "#MC", "a machine check", "6.15, Interrupt 18" },
	[19] = { "#XM", "a SIMD exception that is not masked", "6.15, Interrupt 19; vol. 1, 11.5" },
	[20] = { "#VE", "an EPT violation that the guest handles itself", "6.15, Interrupt 20; 25.5.7" },
	[21] = { "#CP", "control protection", "6.15, Interrupt 21" },
};

void say(struct session *s, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	SHOW_STRING(s, NULL, "%s\n", text);
}

/* ---- page faults ---- */

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16, PF_PK = 32 };

static void print_access(struct session *s, uint32_t error, uint64_t cr2)
{
	SHOW_STRING(s, "access", "%s", error & PF_I ? "instruction fetch" : error & PF_W ? "write" : "read");
	SHOW_HEX(s, "linear", " of linear address %" PRIx64, cr2);
	SHOW_STRING(s, "by", " by %s\n", error & PF_U ? "user code (CPL 3)" : "the supervisor");
	explain_page(s, cr2);
}

static void why_paged(struct session *s, uint32_t error, uint64_t cr2)
{
	struct walk_entry walk[5], *e;
	unsigned n = walk_to(s, cr2, walk);
	uint64_t cr0 = vcpu_get(s->machine, VCPU_CR0), cr4 = vcpu_get(s->machine, VCPU_CR4);
	bool said = false;

	if (!n)
		return;
	e = &walk[n - 1];
	if (!(error & PF_P)) {
		say(s, "because the %s at physical %" PRIx64 " has bit 0 (P) clear", e->name, e->at);
		return;
	}
	if (error & PF_RSVD)
		say(s, "because an entry has a bit set that is reserved (4.7, RSVD)");
	if (error & PF_PK)
		say(s, "because PKRU forbids it for protection key %u (4.6.2)",
			(unsigned)(e->value >> 59 & 15));
	for (unsigned i = 0; i < n; i++) {
		e = &walk[i];
		if (error & PF_U && !(e->value & 4))
			say(s, "because the %s has bit 2 (U/S) clear: it is the supervisor's", e->name),
				said = true;
		if (error & PF_W && !(e->value & 2) && (error & PF_U || cr0 & 0x10000))
			say(s, "because the %s has bit 1 (R/W) clear%s", e->name,
				error & PF_U ? "" : ", and CR0.WP is set"),
				said = true;
		if (error & PF_I && e->value >> 63)
			say(s, "because the %s has bit 63 (XD) set", e->name), said = true;
	}
	if (!said && !(error & (PF_U | PF_RSVD | PF_PK)) && e->value & 4) {
		if (error & PF_I && cr4 & 0x100000)
			say(s, "because it is a user page, and CR4.SMEP forbids the supervisor to execute it (4.6)");
		else if (cr4 & 0x200000)
			say(s, "because it is a user page, and CR4.SMAP forbids the supervisor to touch it "
			       "with EFLAGS.AC clear (4.6)");
	} else if (!said && !(error & (PF_RSVD | PF_PK))) {
		say(s, "the tables allow it now: they were changed since, or the TLB had an older entry (4.10.4)");
	}
}

/* ---- selectors ---- */

static const char *segment_kind(unsigned type)
{
	return type & 8   ? type & 4   ? type & 2 ? "readable conforming code" : "conforming code"
			    : type & 2 ? "readable code"
				       : "code that is not readable"
	       : type & 2 ? "writable data"
			  : "read-only data";
}

/* Describe the descriptor that the error code selects, as it is in memory now. */
static void which_selector(struct session *s, uint32_t error)
{
	static const char *const system[16] = { "reserved", "an available 16-bit TSS", "an LDT", "a busy 16-bit TSS",
		"a 16-bit call gate",
		"a task gate",
		"a 16-bit interrupt gate", "a 16-bit trap gate", "reserved", "an available TSS", "reserved",
		"a busy TSS", "a call gate", "reserved",
		"an interrupt gate", "a trap gate" };
	bool wide = vcpu_get(s->machine, VCPU_EFER) & 0x400, idt = error & 2, ldt = !idt && error & 4;
	unsigned index = error >> 3 & 0x1fff, size = idt && wide ? 16 : 8, type;
	uint64_t base = vcpu_get(s->machine, idt ? VCPU_IDTR_BASE : ldt ? VCPU_LDTR_BASE : VCPU_GDTR_BASE),
		limit = vcpu_get(s->machine, idt ? VCPU_IDTR_LIMIT : ldt ? VCPU_LDTR_LIMIT : VCPU_GDTR_LIMIT), d = 0;
	const char *table = idt ? "IDT" : ldt ? "LDT" : "GDT";

	say(s, "error code %04x: %s %s %x of the %s%s (6.13)", error, idt ? "gate" : "selector",
		idt ? "number" : "index", index, table,
		error & 1 ? ", while something from outside was delivered (EXT)" : "");
	if ((uint64_t)index * size + size - 1 > limit) {
		say(s, "the %s ends at %" PRIx64 " (limit), and the descriptor would be at %x", table, limit,
			index * size);
	} else if (vcpu_read_linear(s->machine, base + (uint64_t)index * size, &d, 8) != 8) {
		say(s, "the %s at %" PRIx64 " is not mapped there", table, base);
	} else {
		type = d >> 40 & 15;
		say(s, "the descriptor is %016" PRIx64 ": %s, DPL %u, %s; CPL is %u", d,
			d >> 44 & 1 ? segment_kind(type) : system[type], (unsigned)(d >> 45 & 3),
			d >> 47 & 1 ? "present" : "NOT PRESENT", (unsigned)vcpu_get(s->machine, VCPU_CPL));
	}
}

/* ---- operands ---- */

#if HAVE_ZYDIS
static uint64_t register_value(struct session *s, ZydisRegister r)
{
	int n = r == ZYDIS_REGISTER_NONE ? -1 : vcpu_register_by_name(ZydisRegisterGetString(r));

	return n < 0 ? 0 : vcpu_get(s->machine, n);
}

/* Describe a memory operand: its address, and its segment's limit and attributes. */
static void which_operand(struct session *s, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o)
{
	const char *seg = ZydisRegisterGetString(o->mem.segment);
	uint64_t at = register_value(s, o->mem.index) * o->mem.scale + (uint64_t)o->mem.disp.value;
	char limit[32], attr[32];

	at += register_value(s, o->mem.base) + (o->mem.base == ZYDIS_REGISTER_RIP ? in->length : 0);
	if (in->address_width < 64)
		at &= ((uint64_t)1 << in->address_width) - 1;
	if (vcpu_get(s->machine, VCPU_CODE_BITS) == 64) {
		if (o->mem.segment == ZYDIS_REGISTER_FS || o->mem.segment == ZYDIS_REGISTER_GS)
			at += vcpu_get(s->machine, o->mem.segment == ZYDIS_REGISTER_FS ? VCPU_FS_BASE : VCPU_GS_BASE);
		say(s, "its operand of %u bytes is at %" PRIx64, o->size / 8, at);
		return;
	}
	snprintf(limit, sizeof limit, "seg[%c%c].limit", seg[0] & ~32, seg[1] & ~32);
	snprintf(attr, sizeof attr, "seg[%c%c].attr", seg[0] & ~32, seg[1] & ~32);
	say(s,
		"its operand of %u bytes is at %s:%" PRIx64 "; the segment: selector %04" PRIx64 ", limit %" PRIx64
		", attributes %" PRIx64,
		o->size / 8, seg, at, register_value(s, o->mem.segment), processor_field(s, limit),
		processor_field(s, attr));
}

static void why_instruction(struct session *s, uint64_t rip, unsigned vector)
{
	unsigned char code[15] = { 0 };
	size_t len = vcpu_read_linear(s->machine, rip, code, sizeof code);
	uint64_t bits = vcpu_get(s->machine, VCPU_CODE_BITS), cr0 = vcpu_get(s->machine, VCPU_CR0),
		cr4 = vcpu_get(s->machine, VCPU_CR4);
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64 : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32 :
		ZYDIS_MACHINE_MODE_LEGACY_16,
		bits == 64 ? ZYDIS_STACK_WIDTH_64 : bits == 32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) {
		if (vector == 6)
			say(s, "the bytes %02x %02x %02x ... are no instruction", code[0], code[1], code[2]);
		return;
	}
	if (vector == 6) {
		if (in.mnemonic == ZYDIS_MNEMONIC_UD2 || in.mnemonic == ZYDIS_MNEMONIC_UD1 ||
		    in.mnemonic == ZYDIS_MNEMONIC_UD0)
			say(s, "because that is what this instruction is for (Linux: BUG() or WARN())");
		else if (in.mnemonic == ZYDIS_MNEMONIC_VMCALL || in.mnemonic == ZYDIS_MNEMONIC_VMMCALL)
			say(s, "because no hypervisor is there to take the call (vol. 3, 30.3, VMCALL): "
			       "the guest asks one without looking at CPUID.1:ECX[31]");
		else if (in.meta.isa_ext >= ZYDIS_ISA_EXT_SSE && strstr(ZydisISAExtGetString(in.meta.isa_ext), "SSE") &&
			 (cr0 & 4 || !(cr4 & 0x200)))
			say(s, "because %s (vol. 3, 13.1)",
				cr0 & 4 ? "CR0.EM is set" : "CR4.OSFXSR is clear: no one has enabled SSE");
		else if (strstr(ZydisISAExtGetString(in.meta.isa_ext), "AVX") && !(cr4 & 0x40000))
			say(s, "because CR4.OSXSAVE is clear: no one has enabled AVX (vol. 3, 13.1)");
		else
			say(s, "%s of %s: this processor lacks it, or it is not allowed in this mode or with this "
			       "prefix",
				ZydisMnemonicGetString(in.mnemonic), ZydisISAExtGetString(in.meta.isa_ext));
		return;
	}
	if (in.mnemonic == ZYDIS_MNEMONIC_RDMSR || in.mnemonic == ZYDIS_MNEMONIC_WRMSR)
		say(s, "ECX is %" PRIx64 ", EDX:EAX %08" PRIx64 ":%08" PRIx64,
			vcpu_get(s->machine, VCPU_RCX) & 0xffffffff, vcpu_get(s->machine, VCPU_RDX) & 0xffffffff,
			vcpu_get(s->machine, VCPU_RAX) & 0xffffffff);
	for (unsigned i = 0; i < in.operand_count; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && operands[i].mem.type == ZYDIS_MEMOP_TYPE_MEM)
			which_operand(s, &in, &operands[i]);
}
#else
static void why_instruction(struct session *s, uint64_t rip, unsigned vector) { (void)s, (void)rip, (void)vector; }
#endif

/* ---- all of them ---- */

static void why_debug(struct session *s, uint64_t dr6)
{
	for (unsigned i = 0; i < 4; i++)
		if (dr6 >> i & 1)
			say(s, "breakpoint %u of the guest's own, at %" PRIx64 " (DR6.B%u)", i,
				vcpu_get(s->machine, (int)(VCPU_DR0 + i)), i);
	if (dr6 & 0x4000)
		say(s, "a single step: TF was set (DR6.BS)");
	if (dr6 & 0x2000)
		say(s, "an access to a debug register with DR7.GD set (DR6.BD)");
}

/* Describe a fault. The machine stands before the instruction that has raised it. WHY: the check that failed; NULL: no
 * more than the vector says. */
static void explain_fault(struct session *s, unsigned vector, uint32_t error, uint64_t cr2, uint64_t dr6,
			  const char *why)
{
	uint64_t cr0 = vcpu_get(s->machine, VCPU_CR0);

	if (vector == 14)
		print_access(s, error, cr2);
	json_open(s, "reasons", '[');
	switch (vector) {
	case 1: why_debug(s, dr6); break;
	case 6: why_instruction(s, linear_rip(s), vector); break;
	case 7: say(s, "because CR0.%s is set", cr0 & 4 ? "EM" : "TS"); break;
	case 14: why_paged(s, error, cr2); break;
	case 10:
	case 11:
	case 12:
	case 13:
	case 17:
		if (error & 0xfffe)
			which_selector(s, error);
		else
			why_instruction(s, linear_rip(s), vector);
		break;
	case 16: say(s, "status word %04x, control word %04x", (unsigned)vcpu_get(s->machine, VCPU_FSW),
		(unsigned)vcpu_get(s->machine, VCPU_FCW)); break;
	case 19: say(s, "MXCSR %04x", (unsigned)vcpu_get(s->machine, VCPU_MXCSR)); break;
	}
	if (why)
		say(s, "because %s", why);
	json_close(s);
}

/* Name an interrupt: no exception, though it enters through the IDT, too. */
static void name_interrupt(struct session *s, const struct vcpu_debug_stop *stop)
{
	unsigned n = (unsigned)stop->address;
	char text[160];

	json_number(s, "vector", n);
	switch (stop->cause) {
	case VCPU_CAUSE_INT:
		snprintf(text, sizeof text, "INT %u instruction (INT %02Xh): a software interrupt through vector %u, "
			 "not an exception (SDM vol. 3, 6.4.4)", n, n, n);
		break;
	case VCPU_CAUSE_INT3_INTO:
		strcpy(text, n == 3 ? "INT3 instruction: a breakpoint of the guest's own, #BP "
				      "(SDM vol. 3, 6.15, Interrupt 3)"
				    : "INTO instruction with OF set: #OF (SDM vol. 3, 6.15, Interrupt 4)");
		break;
	case VCPU_CAUSE_INT1:
		strcpy(text, "INT1 instruction (ICEBP): #DB (SDM vol. 2, INT n; vol. 3, 6.15, Interrupt 1)");
		break;
	default:
		snprintf(text, sizeof text,
			 n == 2 ? "a non-maskable interrupt from outside, vector %u, not an exception (SDM vol. 3, 6.7)"
				: "an interrupt from outside, vector %u, not an exception (SDM vol. 3, 6.3)", n);
	}
	SHOW_STRING(s, "text", "%s\n", text);
}

static void name_exception(struct session *s, unsigned vector)
{
	bool known = vector < 32 && vectors[vector].name;

	SHOW_NUMBER(s, "vector", "vector %" PRIu64 ", ", vector);
	SHOW_STRING(s, "name", "%s: ", known ? vectors[vector].name : "an exception");
	SHOW_STRING(s, "text", "%s", known ? vectors[vector].text : "of no known meaning");
	SHOW_STRING(s, "section", " (SDM vol. 3, %s)\n", known ? vectors[vector].section : "6.3");
}

/* The event whose handler the machine is about to execute, an interrupt or VM exit too; else the last exception, or
 * INT instruction, of a vector below 32, or instruction of VMX that failed. VMX: the last exit or failure. */
static struct vcpu_debug_stop last_event(struct session *s, struct vcpu_place here, bool vmx)
{
	unsigned of_vmx = VCPU_EVENT_VMEXIT | VCPU_EVENT_VMFAIL,
		 kinds = vmx ? of_vmx : of_vmx | VCPU_EVENT_EXCEPTION | VCPU_EVENT_INTERRUPT;
	struct vcpu_debug_stop stop = vcpu_debug_last_event(s->debug, kinds, 0, VCPU_SVM | 0xffff);

	if (stop.what == VCPU_DEBUG_EVENT && !vmx &&
	    (stop.place.instructions != here.instructions || stop.place.steps != here.steps) &&
	    (!(stop.event & (VCPU_EVENT_EXCEPTION | VCPU_EVENT_VMFAIL)) || stop.address > 31))
		stop = vcpu_debug_last_event(s->debug, VCPU_EVENT_EXCEPTION | VCPU_EVENT_VMFAIL, 0, 31);
	return stop;
}

static bool explain_last(struct session *s, bool vmx)
{
	struct vcpu_place here = vcpu_where(s->machine);
	struct vcpu_debug_stop stop = last_event(s, here, vmx);
	uint64_t cr2, dr6;
	bool software = stop.cause != VCPU_CAUSE_FAULT && stop.cause != VCPU_CAUSE_TRAP;

	if (stop.what != VCPU_DEBUG_EVENT) {
		if (stop.what == VCPU_DEBUG_ERROR)
			return complaint(s, "%s", error_of(s));
		vcpu_debug_seek(s->debug, here);
		return complaint(s, stop.what == VCPU_DEBUG_START
					    ? vmx ? "there has been no VM exit, as far back as is known"
						  : "there has been no exception, as far back as is known"
					    : "the search was ended");
	}
	vcpu_select(s->machine, vcpu_running(s->machine));
	if (stop.event & (VCPU_EVENT_VMEXIT | VCPU_EVENT_VMFAIL)) {
		explain_vmx(s, &stop);
		vcpu_debug_seek(s->debug, here);
		vcpu_select(s->machine, vcpu_running(s->machine));
		return true;
	}
	cr2 = vcpu_get(s->machine, VCPU_CR2);
	dr6 = vcpu_get(s->machine, VCPU_DR6);
	vcpu_debug_seek(s->debug, stop.when);
	vcpu_select(s->machine, vcpu_running(s->machine));
	json_open(s, "event", '{');
	if (software)
		name_interrupt(s, &stop);
	else
		name_exception(s, (unsigned)stop.address);
	SHOW_NUMBER(s, "instructions", "instruction %" PRIu64 ":\n", stop.when.instructions);
	disassemble_next(s);
	if (!software)
		explain_fault(s, (unsigned)stop.address, (uint32_t)stop.value, cr2, dr6, stop.name);
	json_close(s);
	vcpu_debug_seek(s->debug, here);
	vcpu_select(s->machine, vcpu_running(s->machine));
	return true;
}

bool do_explain(struct session *s, const char *args)
{
	struct vcpu_fault faults[8];
	unsigned n = vcpu_fault_chain(s->machine, faults, 8);
	char cause[DIAGNOSIS];

	if (*args && strcmp(args, "vmexit"))
		return complaint(s, "explain [vmexit]");
	if (!n || *args)
		return explain_last(s, *args);
	json_open(s, "triple_fault", '{');
	if (diagnosis_triple_fault(s->machine, cause))
		SHOW_STRING(s, "cause", "%s\n", cause);
	fprintf(s->out, "a triple fault: nobody took the last of these, and the processor has shut down (SDM vol. 3, 6.15, Interrupt 8)\n");
	json_open(s, "faults", '[');
	for (unsigned i = 0; i < n && i < 8; i++) {
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "vector", "vector %" PRIu64, faults[i].vector);
		SHOW_HEX(s, "cs", " at %04" PRIx64, faults[i].cs);
		SHOW_HEX(s, "rip", ":%" PRIx64, faults[i].rip);
		show_symbol(s, faults[i].rip);
		SHOW_STRING(s, "text", ": %s\n", faults[i].text);
		explain_fault(s, faults[i].vector, faults[i].has_error ? faults[i].error : 0, faults[i].cr2, 0,
			      faults[i].why);
		json_close(s);
	}
	json_close(s);
	json_close(s);
	return true;
}
