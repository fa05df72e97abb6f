/* vcpu-dbg: what its files share. It sees the library only through <vcpu*.h>. */
#ifndef DEBUGGER_H
#define DEBUGGER_H

#include <stdio.h>
#include <vcpu_debug.h>

struct symbol { uint64_t address, size; char *name; };

struct session {
	vcpu *machine;
	vcpu_debug *debug;
	FILE *out;                   /* where commands print */
	struct symbol *symbols;      /* by address */
	size_t nsymbols;
	struct { int id; uint64_t address; bool physical, watch, temporary; } points[64];
	unsigned npoints;
	uint64_t shown;              /* the guest's output is on the screen up to this instruction */
	bool quit;
	volatile bool interrupted;   /* Ctrl-C */
};

/* commands.c: do one line. False: it was no good (what there is to say has been said on OUT). */
bool command(struct session *s, const char *line);
/* Names of commands that begin with TEXT, the I-th; NULL: no more. */
const char *command_name(const char *text, unsigned i);
/* Run on (or BACK) until something stops it. */
struct vcpu_debug_stop run_on(struct session *s, bool back);
void print_stop(struct session *s, const struct vcpu_debug_stop *stop);

/* symbols.c: an ELF file, or lines "ADDRESS TYPE NAME" as System.map and /proc/kallsyms have. False, having said why on OUT. */
bool symbols_read(struct session *s, const char *path);
const struct symbol *symbol_by_name(const struct session *s, const char *name);
/* The one at or before ADDRESS; NULL: none that is near. */
const struct symbol *symbol_at(const struct session *s, uint64_t address);

/* explain.c */
void explain_page(struct session *s, uint64_t linear);
void disassemble(struct session *s, uint64_t address, unsigned count);

#endif
