/* SPDX-License-Identifier: MIT */
/* Silent failures: sensitive instructions of the kernel that do not trap in the monitor, and have another effect
 * than on the machine itself. The list of sensitive instructions is the library's (vcpu_isa_theorem). An effect is
 * what the instruction changes the first time: registers, arithmetic flags, IF, and words near the top of the
 * stack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_debug.h>
#include "host.h"

enum { KERNEL_END = 4 << 20, ROWS = 128, PLACES = 256, WORDS = 40, BELOW = 16, LIMIT = 400000000 };
static const int registers[] = { VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI,
				 VCPU_RDI, VCPU_RIP, VCPU_CS,  VCPU_SS,  VCPU_DS,  VCPU_ES,  VCPU_RFLAGS };
enum {
	REGISTERS = sizeof registers / sizeof *registers,
	STACK = 4,
	FLAGS = REGISTERS - 1,
	ARITHMETIC = 0x8d5,
	IF = 0x200
};

struct state { uint32_t value[REGISTERS + WORDS], stack; bool interrupts; };
struct place { uint32_t address; int id; bool done; struct vcpu_insn insn; struct state before, after; };

static struct state look(const vcpu *v, uint32_t stack)
{
	struct state s = { .stack = stack, .interrupts = vcpu_get(v, VCPU_RFLAGS) & IF };

	for (unsigned i = 0; i < REGISTERS; i++)
		s.value[i] = (uint32_t)vcpu_get(v, registers[i]);
	s.value[FLAGS] &= ARITHMETIC;
	s.value[STACK] -= stack; /* another process has another one */
	vcpu_read_linear(v, stack, &s.value[REGISTERS], WORDS * 4);
	return s;
}

/* Do the bytes begin an instruction of this row? An encoding is "0F 01 /4 mem": bytes, the reg field, mod. */
static bool is(const char *encoding, const uint8_t *bytes)
{
	char text[64], *save, *word;

	if (*bytes == 0x66)
		bytes++;
	snprintf(text, sizeof text, "%s", encoding);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (*word == '/' ? word[1] != 'r' && word[1] - '0' != (*bytes >> 3 & 7)
		    : !strcmp(word, "mem") ? *bytes >> 6 == 3
		    : !strcmp(word, "reg") ? *bytes >> 6 != 3
					   : strtoul(word, NULL, 16) != *bytes++)
			return false;
	}
	return true;
}

/* The sensitive instruction at the machine's place, or false. */
static bool sensitive(const vcpu *v, uint32_t at, enum vcpu_monitor how, struct vcpu_insn *insn)
{
	uint8_t bytes[16] = { 0 };
	unsigned rows[ROWS];
	int n = vcpu_isa_theorem("pentium", how, rows, ROWS);

	vcpu_read_linear(v, at, bytes, sizeof bytes);
	for (int i = 0; i < n && i < ROWS; i++)
		if (vcpu_isa_row(rows[i], insn) && is(insn->encoding, bytes))
			return true;
	return false;
}

/* Run the kernel on its own machine, an instruction at a time. */
static unsigned find_places(vcpu *v, enum vcpu_monitor how, struct place *places)
{
	static bool seen[KERNEL_END];
	struct vcpu_stop stop = { VCPU_STOP_LIMIT, 0 };
	unsigned n = 0;

	memset(seen, 0, sizeof seen);
	while (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE) {
		uint32_t at = (uint32_t)vcpu_get(v, VCPU_RIP), stack = (uint32_t)vcpu_get(v, VCPU_RSP) - BELOW;
		struct place *p = &places[n];
		bool found = at < KERNEL_END && !seen[at] && n < PLACES && sensitive(v, at, how, &p->insn);

		if (at < KERNEL_END)
			seen[at] = true;
		if (found)
			*p = (struct place){ .address = at, .insn = p->insn, .before = look(v, stack) };
		stop = vcpu_run(v, 1);
		if (found)
			p->after = look(v, stack), n++;
	}
	return n;
}

static const char *name_of(unsigned i)
{
	static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip",
					     "cs", "ss", "ds", "es", "flags" };

	return i < REGISTERS ? names[i] : "memory";
}

/* Print the first difference between what the instruction changes here and on the machine; false: there is none. */
static bool differs(const struct place *p, const struct state *before, const struct state *after)
{
	bool loads_if = !strcmp(p->insn.mnemonic, "popf") || !strcmp(p->insn.mnemonic, "iret");

	if (loads_if &&
	    (before->interrupts != p->before.interrupts || after->interrupts != p->after.interrupts)) {
		printf("%08x %-6s %-14s IF %d, then %d; on the machine %d, then %d\n", p->address, p->insn.mnemonic,
		       p->insn.encoding, before->interrupts, after->interrupts, p->before.interrupts,
		       p->after.interrupts);
		return true;
	}
	for (unsigned i = 0; i < REGISTERS + WORDS; i++) {
		bool here = before->value[i] != after->value[i], there = p->before.value[i] != p->after.value[i];

		if ((!here && !there) || after->value[i] == p->after.value[i])
			continue;
		printf("%08x %-6s %-14s %s %x; on the machine %x\n", p->address, p->insn.mnemonic, p->insn.encoding,
		       name_of(i), after->value[i], p->after.value[i]);
		return true;
	}
	return false;
}

/* At one of the places, for the first time? */
static struct place *place_at(const vcpu *v, struct place *places, unsigned n)
{
	if (vcpu_get(v, VCPU_CPL) == 0) /* the monitor itself, before it has left this address */
		return NULL;
	for (unsigned i = 0; i < n; i++)
		if (places[i].address == vcpu_get(v, VCPU_RIP) && !places[i].done)
			return &places[i];
	return NULL;
}

/* Run it in the monitor, and look at each place once. */
static unsigned compare(struct run *run, struct place *places, unsigned n)
{
	char *error = NULL;
	vcpu_debug *d = vcpu_debug_new(run->v, NULL, &error);
	unsigned failures = 0;

	if (!d)
		return fprintf(stderr, "%s\n", error), 0;
	for (unsigned i = 0; i < n; i++)
		places[i].id = vcpu_debug_break(d, places[i].address, false);
	while (vcpu_debug_run(d, LIMIT).what == VCPU_DEBUG_BREAK) {
		struct place *p;

		while ((p = place_at(run->v, places, n))) {
			struct state before = look(run->v, (uint32_t)vcpu_get(run->v, VCPU_RSP) - BELOW), after;

			vcpu_debug_step(d);
			after = look(run->v, before.stack);
			if (vcpu_get(run->v, VCPU_CPL) != 0) /* else it has trapped */
				failures += differs(p, &before, &after);
			vcpu_debug_delete(d, p->id);
			p->done = true;
		}
	}
	vcpu_debug_free(d);
	return failures;
}

unsigned silent(const char *monitor, const char *kernel, enum vcpu_monitor how)
{
	static struct place places[PLACES];
	static struct result result;
	struct run run;
	unsigned n, failures;

	if (!run_begin(&run, NULL, kernel, &result))
		return 0;
	n = find_places(run.v, how, places);
	run_end(&run);
	if (!run_begin(&run, monitor, kernel, &result))
		return 0;
	failures = compare(&run, places, n);
	run_end(&run);
	printf("%u of %u sensitive instructions\n", failures, n);
	return failures;
}
