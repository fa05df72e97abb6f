/* SPDX-License-Identifier: MIT */
/* Exceptions in words (SDM vol. 3, 6.15), for people who look at a triple fault. */
#include <stdarg.h>
#include <stdio.h>
#include "lib/machine.h"

static const struct { const char *name, *meaning; } exceptions[32] = {
	[VEC_DE] = { "#DE", "division by zero, or a quotient that does not fit" },
	[VEC_DB] = { "#DB", "debug trap" },
	[VEC_NMI] = { "NMI", "non-maskable interrupt" },
	[VEC_BP] = { "#BP", "breakpoint (INT3)" },
	[VEC_OF] = { "#OF", "overflow (INTO)" },
	[VEC_BR] = { "#BR", "index outside of BOUND" },
	[VEC_UD] = { "#UD", "not an instruction of this processor in this mode" },
	[VEC_NM] = { "#NM", "x87 or SSE with CR0.TS or CR0.EM set" },
	[VEC_DF] = { "#DF", "double fault" },
	[9] = { "#MF", "coprocessor segment overrun" },
	[VEC_TS] = { "#TS", "invalid TSS" },
	[VEC_NP] = { "#NP", "segment or gate not present" },
	[VEC_SS] = { "#SS", "stack beyond its segment, or not present" },
	[VEC_GP] = { "#GP", "general protection" },
	[VEC_PF] = { "#PF", "page fault" },
	[VEC_MF] = { "#MF", "x87 error" },
	[VEC_AC] = { "#AC", "unaligned access" },
	[VEC_MC] = { "#MC", "machine check" },
	[VEC_XM] = { "#XM", "SSE floating-point error" },
	[VEC_VE] = { "#VE", "virtualization exception" },
	[VEC_CP] = { "#CP", "control protection" },
};

/* Page-fault error code (SDM vol. 3, 4.7):   5 PK  4 fetch  3 reserved bit  2 user  1 write  0 page was present */
static void page_fault_text(const struct fault_note *note, char *text, size_t size)
{
	u32 e = note->error;

	snprintf(text, size, "#PF: %s %s of %llx: %s", e & 4 ? "user" : "supervisor", e & 16 ? "fetch" : e & 2 ? "write"
		: "read",
		(unsigned long long)note->cr2,
		e & 8 ? "an entry on the way has a reserved bit set" : e & 1 ? "the page does not allow it"
		: "no page is there");
}

static void __attribute__((format(printf, 3, 4))) add(char *text, size_t size, const char *format, ...)
{
	size_t n = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + n, size - n, format, args);
	va_end(args);
}

void fault_text(const struct fault_note *note, char *text, size_t size)
{
	/* Error code of the others (6.13):   15..3 index   2 LDT (else GDT)   1 IDT   0 external event */
	static const char *const tables[] = { "GDT", "IDT", "LDT", "IDT" };
	u32 e = note->error;

	if (note->vector == VEC_PF) {
		page_fault_text(note, text, size);
		return;
	}
	if (note->vector >= ARRAY_LEN(exceptions) || !exceptions[note->vector].name) {
		snprintf(text, size, "exception or interrupt %u", note->vector);
		return;
	}
	snprintf(text, size, "%s: %s", exceptions[note->vector].name, exceptions[note->vector].meaning);
	if (note->has_error && note->vector != VEC_DF && note->vector != VEC_AC && e & 0xfffa)
		add(text, size, ": %s entry %u", tables[e >> 1 & 3], e >> 3 & 0x1fff);
	if (note->has_error && note->vector != VEC_DF && e & 1)
		add(text, size, ", on the way to the handler of another");
	if (note->why)
		add(text, size, ": %s", note->why);
}
