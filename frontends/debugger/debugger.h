/* SPDX-License-Identifier: MIT */
/* vcpu-dbg: what its files share. It sees the library only through <vcpu*.h>.
 *
 *   commands.c  the table, help          symbols.c   names of addresses      trace.c     trace, coverage, profile
 *   run.c       time, both ways          kallsyms.c  Linux's own, in memory  tables.c    descriptor tables, maps
 *   report.c    what a stop says         dwarf.c     names, types            explain.c   page walks, instructions
 *   stops.c     break, watch, catch      line.c      lines, functions        fault.c     faults in words
 *   look.c      print, info ...          variable.c  variables               devices.c   devices in words
 *   memory.c    x, find                  unwind.c    who called              blocks.c    decoded code
 *   source.c    places, list             frame.c     backtrace, up, down     registers.c registers
 *   expr.c      operators                type.c      types                   diagnosis.c why a run ended
 *   operand.c   registers, symbols       value.c     values                  main.c      options, prompt
 *   assign.c    changes by hand          history.c   values that are kept    json.c      for machines
 *   watch.c     watch: old, new values   display.c   shown at every stop     listing.c   info types, functions ...
 *   complete.c  words begun            returned.c  what functions return     query.c     tables of a run
 *   origin.c    where values come from   btf.c       types of a kernel      linux.c     tasks, modules ...
 *   timeline.c  a picture of a run */
#ifndef DEBUGGER_H
#define DEBUGGER_H

#include <stdio.h>
#include <stdlib.h>
#include <vcpu_debug.h>

/* P, which malloc, strdup or their like gave. An interactive program without memory has nothing left to do. */
__attribute__((returns_nonnull)) static inline void *needed(void *p)
{
	if (!p) {
		fputs("vcpu-dbg: out of memory\n", stderr);
		abort();
	}
	return p;
}

struct symbol {
	uint64_t address, size;
	uint64_t reach;              /* bytes from ADDRESS on that are NAME or NAME+N; 0: up to the next one */
	char *name;
	bool code;
};

/* A break-, watchpoint or catch. */
struct stop {
	int id, number;              /* the library's; the user's, 0: hidden */
	enum { STOP_BREAK, STOP_WATCH, STOP_CATCH } kind;
	uint64_t address;            /* of code; else 0 */
	bool temporary, hidden;      /* hidden: for a command's own use */
	bool disabled, physical, reads, writes; /* reads, writes: of what is watched */
	/* hidden: counts only where the stack pointer is above this, and the caller's is not below that; 0: anywhere */
	uint64_t above, caller;
	char *expression;            /* what is watched, as it was typed */
	struct watched *watched;     /* watch.c; NULL: nothing is */
	char *what;                  /* for people */
	char *condition;             /* NULL: none */
	char **commands;             /* NULL at the end; NULL: none */
	uint64_t hits, ignore;
};

/* An object of JSON on its way: json.c. */
enum { JSON_DEPTH = 32 };
struct json {
	FILE *to;                    /* NULL: nobody wants it */
	bool any;                    /* something stands before, in the innermost bracket */
	char closing[JSON_DEPTH];
	unsigned depth, lost;        /* lost: brackets that were too deep */
};

struct line {
	const char *file, *name;     /* with its directory, and without */
	const char *directory;       /* where it was compiled; may be NULL */
	int line;
	uint64_t begin;              /* of the piece of code */
};

/* What x did last: alone it goes on. */
struct examined { char format; unsigned size; uint64_t count, next; bool physical; };

struct bookmark { char *name; struct vcpu_place place; };
struct types;
struct value;
struct variable;
struct display;
struct dwarf;
struct btf;
struct query;
struct trace;

struct session {
	vcpu *machine;
	vcpu_debug *debug;
	FILE *out;                   /* where commands print: session_print_to */
	FILE *to;                    /* where that goes */
	size_t said;                 /* bytes since */
	char error[512];             /* the last complaint */
	struct json json;
	FILE *(*create)(const char *path); /* makes files for commands; NULL: fopen does */
	struct symbol *symbols;      /* by address */
	size_t nsymbols;
	struct stop *stops;
	unsigned nstops;
	int last_stop;               /* the largest number yet */
	struct bookmark *bookmarks;
	unsigned nbookmarks;
	struct vcpu_place *trail;    /* where it stood before commands that moved it: undo */
	unsigned ntrail;
	struct vcpu_debug_stop last; /* the last stop: $address, $value ... are of it */
	int stop_number;             /* at it; 0: at none that has one */
	uint64_t last_function;      /* where it begins that it stood in at the last stop; 0: in none */
	bool went_back;              /* the last move was back */
	bool stepping;               /* so that the function goes without saying */
	bool stopped;                /* the last command has moved: for JSON */
	bool quiet;                  /* complaints are kept in `error', and not printed */
	bool asked;                  /* an expression is a condition of a stop: it changes nothing */
	bool backwards;              /* hits are not counted */
	struct examined examined;
	struct line listed;          /* around which list did it last; its file is NULL: it did not, at this place */
	int listed_first, listed_last;
	unsigned frame;              /* selected */
	/* an expression is only being tried, as if the machine stood at this address; 0: it is not */
	uint64_t scope;
	struct value *history;       /* $1, $2 ... */
	unsigned nhistory;
	struct variable *variables;
	struct display *displays;    /* display.c */
	struct completions *completions; /* complete.c */
	int last_display;
	struct types *types;
	struct dwarf *dwarf;         /* NULL: none */
	struct btf *btf;             /* NULL: none */
	struct trace *trace;
	struct query *query;         /* its pass goes on; NULL: none */
	char *collecting;            /* lines of `commands' are being read for this stop; NULL: none */
	unsigned sourcing;           /* depth of files that are being done */
	bool keep_going;             /* commands go on behind one that failed */
	bool no_files;               /* commands open none */
	bool quit;
	volatile bool interrupted;   /* Ctrl-C */
	/* asked every now and then while a command goes on; NULL: nobody is to be asked */
	bool (*stop_wanted)(void *user);
	void *user;
	unsigned long rounds;        /* of loops, for that */
};

/* ---- commands.c ---- */

/* Do one line. False: it was no good (what there is to say has been said on OUT). */
bool command(struct session *s, const char *line);
bool nested_command(struct session *s, const char *line); /* one that another command does */
const char *command_name(unsigned i); /* the I-th; NULL: no more */
const char *command_completes(const char *name, size_t n); /* its way, for complete.c; NULL: none */
/* Commands print to TO; NULL: no more. Control characters are replaced by question marks, since names come from files
 * and guests. False: no memory. */
bool session_print_to(struct session *s, FILE *to);
void session_end(struct session *s); /* free what S has but the machine */
/* False, having said so. */
bool complaint(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Shall the command end before it is done? For every loop whose length a line, the guest or a file decides: Ctrl-C;
 * whoever is to be asked has had enough, or has been told more than anybody reads. */
bool enough(struct session *s);
static inline const char *error_of(struct session *s) { return vcpu_error(s->machine); }
/* A number at the beginning of TEXT. */
uint64_t number(const char *text, uint64_t otherwise);
/* May a command open a file that its line, or the guest's symbols, name? False, having said why not. */
bool files_allowed(struct session *s);
typedef bool command_fn(struct session *s, const char *args);

/* ---- complete.c ---- */
/* What the word that begins at START of LINE can become, the I-th, after the one before it; NULL: no more;
 * completion_file: the name of any file. */
const char *completion(struct session *s, const char *line, unsigned start, unsigned i);
extern const char completion_file[];
void completions_end(struct session *s);
command_fn do_complete;

/* ---- report.c ---- */

void print_where(struct session *s); /* when this is, and the instruction that is next */
/* Print it and do what is to be done there. */
bool report(struct session *s, struct vcpu_debug_stop stop);

/* ---- display.c ---- */
void displays_show(struct session *s);
void displays_end(struct session *s);
command_fn do_display, do_undisplay, info_display;

/* ---- run.c ---- */

uint64_t linear_rip(struct session *s);
command_fn do_continue, do_reverse, do_stepi, do_stepi_back, do_step, do_step_back, do_next, do_next_back, do_nexti,
	do_nexti_back,
	do_finish,
	   do_finish_back, do_until, do_advance, do_goto, do_run, do_when, do_bookmark, do_undo;

/* ---- stops.c ---- */

struct stop *stop_by_id(struct session *s, int id);
struct stop *stop_by_number(struct session *s, int number);
/* A breakpoint for a command's own use. -1, having complained. */
int hidden_break(struct session *s, uint64_t address, uint64_t above, uint64_t caller);
struct stop *stop_add(struct session *s, struct stop p); /* NULL, having complained; P's parts are freed then */
void stop_delete(struct session *s, int id);
/* Asked by the library at each hit. */
bool stop_counts(void *session, const struct vcpu_debug_stop *stop);
/* Where in ARGS " if " begins its condition, malloc'd; it is cut off there. NULL: there is none. */
char *cut_condition(char *args);
bool condition_parses(struct session *s, const char *condition, uint64_t at); /* would it do at AT? */
/* At HIT. True, too, if TEXT is NULL or has no value there. */
bool condition_holds(struct session *s, const char *text, const struct vcpu_debug_stop *hit);
command_fn do_break, do_tbreak, do_pbreak, do_magic, do_delete, do_catch, do_condition, do_ignore, do_commands,
	do_enable, do_disable;
command_fn info_breakpoints, info_watchpoints;
const char *catch_name(unsigned i); /* of an event; NULL: no more */

/* ---- watch.c ---- */

void watches_look(struct session *s); /* what is there now: before the run goes on */
/* asked at each hit; P can be any stop */
bool watch_counts(struct session *s, struct stop *p, const struct vcpu_debug_stop *hit);
/* the machine stands before the access: did that change what is watched? */
bool watch_went_back(struct session *s, struct stop *p);
void watch_print(struct session *s, struct stop *p, bool back);
const char *watch_kind(const struct stop *p);
void watch_end(struct stop *p);
command_fn do_watch, do_rwatch, do_awatch, do_pwatch, do_last_write;

/* ---- origin.c ---- */
command_fn do_who, do_origin;

/* ---- symbols.c ---- */

/* The whole file, malloc'd, of LEN bytes and a zero behind them. NULL: errno says why. */
char *file_read(const char *path, size_t *len);
/* An ELF file, or lines "ADDRESS TYPE NAME" as System.map and /proc/kallsyms have, shifted by OFFSET (automatic: NULL).
 * False, having said why. */
bool symbols_read(struct session *s, const char *path, const uint64_t *offset);
/* SIZE 0: not known. ROOM: bytes that follow in its section, 0: not known. False: no memory. */
bool symbol_add(struct session *s, uint64_t address, uint64_t size, uint64_t room, bool code, const char *name,
	size_t len);
void symbols_sort(struct session *s);
const struct symbol *symbol_by_name(const struct session *s, const char *name);
/* The last one before or at ADDRESS that reaches there; NULL: none. */
const struct symbol *symbol_at(const struct session *s, uint64_t address);
/* "NAME+N" or "" */
const char *symbol_text(const struct session *s, uint64_t address, char *text, size_t size);
command_fn do_symbols;

/* ---- kallsyms.c: the table that a Linux kernel has of itself, in the guest's memory ---- */
bool kallsyms_read(struct session *s);
/* An address in the kernel that the processor knows: where system calls or page faults enter. 0: none. *NAME, if not
 * NULL, gets that symbol's name. */
uint64_t kernel_entry(struct session *s, const char *const **names);
/* The value of FIELD of the running processor. */
uint64_t processor_field(struct session *s, const char *field);
bool field_value(struct session *s, const char *part, const char *field, unsigned index, uint64_t *value);

/* ---- type.c, value.c, assign.c, expr.c ---- */

enum type_kind { TYPE_VOID, TYPE_INT, TYPE_BOOL, TYPE_CHAR, TYPE_FLOAT, TYPE_ENUM, TYPE_POINTER, TYPE_ARRAY,
	TYPE_STRUCT, TYPE_FUNCTION };
struct type;
struct member { const char *name; const struct type *type; uint64_t offset; unsigned bit, bits;
	/* bits 0: no bit field */ };
struct type {
	enum type_kind kind;
	const char *name;            /* NULL: it has none */
	uint64_t size;
	bool is_signed, is_union, is_prototype, is_const, is_volatile;
	bool is_typedef;             /* `name' is a typedef's */
	/* NULL; or what this is a typedef or a qualified form of. Members are in the last of these: type_whole. */
	const struct type *of;
	const struct type *to;       /* of a pointer, array, function */
	uint64_t count;              /* of an array */
	/* of a structure; a function's parameters; an enumeration's values, with the value in `offset' */
	struct member *members;
	unsigned nmembers;
	bool (*complete)(struct session *s, struct type *t); /* fills in members when they are asked for; NULL: done */
	uint64_t where;              /* for it */
	struct type *next;
};
struct content { uint64_t address; size_t size; unsigned char bytes[]; };
struct value {
	const struct type *type;
	const struct content *held;  /* what the memory was when this was kept; NULL: what is there now counts */
	struct variable *variable;   /* of the session, which it is; NULL: none */
	int reg;                     /* 1 + the number of the register that it is, which can be assigned to; 0: none */
	bool in_memory;              /* at `address'; else `bits' is all of it */
	bool symbol;                 /* one without a type, whose address is its value */
	bool no_place;               /* `held' was in registers: `address' counts from its first byte */
	uint64_t address, bits;
	unsigned bit, nbits;
	/* of a register that counts from a segment's base, as RIP does in real mode: an address made of the value has
	 * it added */
	uint64_t base;
};

/* What `set $name = ...' makes. */
struct variable { char *name; struct value value; struct variable *next; };

struct type *type_new(struct session *s, enum type_kind kind, const char *name, uint64_t size);
const struct type *type_pointer(struct session *s, const struct type *to);
/* a pointer with room for any linear address */
const struct type *type_address(struct session *s, const struct type *to);
const struct type *type_basic(struct session *s, const char *name); /* "unsigned long", "u8" ...; NULL: no such type */
/* "struct x", "enum x", a typedef, by DWARF or the guest's BTF; NULL: no such type */
const struct type *type_by_name(struct session *s, const char *name);
const struct type *type_named(struct session *s, const char *name); /* all of NAME is a type's; NULL: it is none */
const struct type *type_array(struct session *s, const struct type *of, uint64_t count); /* COUNT of them */
/* OF by another name, or, NAME being NULL, for the caller to set is_const or is_volatile. */
struct type *type_alias(struct session *s, const struct type *of, const char *name);
const struct type *type_whole(struct session *s, const struct type *t); /* with its members; NULL: they are not known */
const struct type *type_code(struct session *s);                        /* void (*)(), for any linear address */
/* As a declaration without a name has it: "char *[4]". */
const char *type_text(const struct type *t, char *text, size_t size);
const char *type_declaration(const struct type *t, const char *name, char *text, size_t size);
void type_print(struct session *s, const struct type *t, bool offsets); /* ptype */
void types_free(struct session *s);
/* What an integer, pointer ... of V is. False, having complained: it is none, or cannot be read. */
bool value_number(struct session *s, const struct value *v, uint64_t *number);
/* The SIZE bytes at AT, in V; how many could be read. */
bool value_readable(struct session *s, const struct value *v); /* false, having complained: its memory is not there */
size_t value_read(struct session *s, const struct value *v, uint64_t at, void *bytes, size_t size);
void value_print(struct session *s, const struct value *v, char format); /* and a newline */
void value_print_as(struct session *s, const struct value *v, char format);
/* as a member of something: without a pointer's type */
void value_print_plain(struct session *s, const struct value *v);
void text_print(struct session *s, const unsigned char *text, size_t len); /* in quotes, as C has it */
/* An object of its NAME, which may be NULL, its type and its value; V NULL: it has none here. */
void value_json(struct session *s, const char *name, const struct value *v);
void value_json_members(struct session *s, const struct value *v); /* type and value, without a bracket */
/* TO becomes FROM; then it is what is there. False, having complained. */
bool value_assign(struct session *s, struct value *to, const struct value *from);
command_fn do_set;
/* All of *TEXT up to its end or, if that is given, to a character of STOP outside of parentheses; *TEXT moves behind
 * it. */
bool evaluate(struct session *s, const char **text, struct value *v);
/* Digits of an address: 16 in long mode, 8 else. For printf's "0x%0*". */
int address_digits(struct session *s);
/* The same as a number: what an address is wanted for. $rip, $rsp and $rbp, plus or minus something, are linear here,
 * whatever the mode. */
bool address(struct session *s, const char **text, uint64_t *value);

/* ---- history.c ---- */
struct value value_keep(struct session *s, const struct value *v); /* with what is in memory now; for value_drop */
void value_drop(struct value *v);
unsigned history_add(struct session *s, const struct value *v);    /* its number */
/* NAME follows a $. False with *KNOWN: it is such a name, but there is no value yet, and an error was printed. */
bool history_value(struct session *s, const char *name, struct value *v, bool *known);
struct variable *variable_by_name(struct session *s, const char *name, bool make); /* NULL: there is none */
void history_end(struct session *s);

/* ---- returned.c ---- */
/* The value of type T that a function has just returned, for value_drop. False: none, or none that is known. */
bool returned_value(struct session *s, const struct type *t, struct value *v);

/* ---- dwarf.c ---- */

struct unit { const char *language, *producer /* may be NULL */; int version; };
bool dwarf_open(struct session *s, const char *path, uint64_t offset);
void dwarf_close(struct session *s);
/* ---- line.c ---- */
bool dwarf_line(struct session *s, uint64_t address, struct line *line);
bool dwarf_begins(struct session *s, uint64_t address); /* a statement begins there */
bool dwarf_first_line(struct session *s, struct line *line); /* main's, or one of the only unit there is */
/* of the line's piece of code that ADDRESS is in; ADDRESS: it is not known */
uint64_t dwarf_line_end(struct session *s, uint64_t address);
/* The function there, and from where to where its code is; NULL: it is not known. */
const char *dwarf_function(struct session *s, uint64_t address, uint64_t *low, uint64_t *high);
const struct type *dwarf_returned(struct session *s, uint64_t address); /* by that function; NULL: nothing */
bool dwarf_unit(struct session *s, uint64_t address, struct unit *unit);
/* "FILE:LINE": where its code begins. */
bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address);
/* The end of the prologue of the function that begins at ADDRESS, by its lines; ADDRESS itself, if it is not known. */
uint64_t dwarf_behind_prologue(struct session *s, uint64_t address);
const struct type *dwarf_type(struct session *s, const char *name); /* "struct x", a typedef; NULL */

enum dwarf_kind { DWARF_TYPE, DWARF_FUNCTION, DWARF_VARIABLE };
/* Tell EACH of those at the top of units whose names are WANTED. FILE can be NULL, LINE 0: not known. */
void dwarf_each(struct session *s, enum dwarf_kind kind, bool (*wanted)(void *user, const char *name),
	void (*each)(void *user, const char *name, const char *file, int line, const char *declaration), void *user);
bool dwarf_knows(struct session *s, const char *name);
/* EACH name that begins with PREFIX, of KINDS: f functions, v variables, e enumerators, t typedefs and basic types, s
 * structures, n enumerations. */
void dwarf_each_prefix(struct session *s, const char *prefix, const char *kinds,
	void (*each)(void *user, const char *name), void *user);

/* ---- btf.c ---- */
const struct type *btf_type(struct session *s, const char *name); /* "struct x", a typedef; NULL */
void btf_close(struct session *s);

/* ---- listing.c ---- */
command_fn info_types, info_functions, info_variables;

/* ---- variable.c ---- */

struct frame {
	uint64_t pc, sp, bp;
	uint64_t cfa;                /* above the return address; 0: not known */
	uint64_t regs[17];           /* by DWARF's numbers */
	uint64_t saved[17];          /* where frames below have saved them; 0: nowhere, they are in the processor */
	const char *how;             /* who knew it; NULL: it is the innermost */
	bool called;                 /* pc is where a call returns to */
};
bool dwarf_variable(struct session *s, const char *name, const struct frame *f, struct value *v);
/* V NULL: it has no place here. */
void dwarf_locals(struct session *s, const struct frame *f,
	void (*each)(void *user, const char *name, bool argument, const struct value *v), void *user);
/* The frame above F; false: the tables do not know. */
bool dwarf_unwind(struct session *s, struct frame *f);

/* ---- unwind.c ---- */

struct frame frame_here(struct session *s);
/* F's caller: by DWARF, by Linux's ORC tables, by frame pointers. False: there is none. */
bool frame_up(struct session *s, struct frame *f);
struct frame frame_selected(struct session *s);
int register_of_dwarf(struct session *s, unsigned n); /* VCPU_ of the N-th */
/* Register REG in the selected frame, and where it is saved, 0: nowhere. False: nobody knows of it. */
bool frame_register(struct session *s, int reg, uint64_t *value, uint64_t *saved);

/* ---- frame.c ---- */
void frame_print(struct session *s, const struct frame *f, bool file); /* without a newline */
command_fn do_backtrace, do_frame, do_up, do_down, info_frame, info_args, info_locals;

/* ---- linux.c ---- */
/* Where the thread PID of the Linux guest goes on when it is scheduled. False, having complained. */
bool task_frame(struct session *s, uint64_t pid, struct frame *f);
command_fn do_ps, do_lsmod, do_dmesg;

/* ---- source.c ---- */
/* N, FILE:N, +N or -N: where the code of a line begins; *ADDRESS, an address, or a function; of that, if
 * BEHIND_PROLOGUE says so, where its prologue ends. */
bool place(struct session *s, const char **args, bool behind_prologue, uint64_t *at);
bool source_print_line(struct session *s, const struct line *line); /* "36\t..."; false: it cannot be read */
command_fn do_list, info_line, info_source;

/* ---- memory.c ---- */
bool examine(struct session *s, const char *args, bool physical); /* x; ARGS begins with its /NFU */
command_fn do_x, do_xp, do_find;

/* ---- look.c ---- */
const char *info_name(unsigned i); /* of what info can tell; NULL: no more */
command_fn do_print, do_whatis, do_info, do_hash, do_disassemble, do_type, do_medium, do_ptype, do_processor;

/* ---- blocks.c ---- */
command_fn do_blocks;

/* ---- registers.c ---- */
command_fn info_registers, info_vectors, do_creg, do_sreg;

/* ---- tables.c ---- */
command_fn info_gdt, info_ldt, info_idt, info_tss, info_maps, info_tab, info_pages, info_tlb,
	info_vmcs, info_vmcb, info_pending;

/* ---- devices.c ---- */
bool device_words(struct session *s, const char *part); /* false: there are none for it */
command_fn info_clock;

/* ---- trace.c ---- */
command_fn do_trace, do_coverage, do_profile, do_gcore;
struct piece { uint64_t address; unsigned size; };
bool name_ends(const char *path, const char *end);
void write_drcov(FILE *file, const struct piece *pieces, size_t count);
/* Execute up to END instructions. */
struct vcpu_debug_stop trace_tenet(struct session *s, FILE *file, uint64_t end);
void trace_end(struct session *s);

/* A file for a command's output; NULL, having complained. Closing: false, having complained. */
FILE *create_file(struct session *s, const char *path);
bool close_file(struct session *s, FILE *file, const char *path);

/* ---- query.c ---- */
command_fn do_query;
/* A hit during the pass of a query. True: the pass ends. */
bool query_hit(struct session *s, const struct vcpu_debug_stop *hit);
/* A row more. False: there are enough. */
bool query_add(struct session *s, struct query *q, struct vcpu_place at, uint64_t rip, uint64_t address, unsigned size,
	       uint64_t value, const char *text);
/* Hooks that add rows: accesses by stale entries of the TLB, or times of LEAST ns and more without interrupts. NULL,
 * having complained. hooked_end accepts NULL. */
struct hooked *hooked_begin(struct session *s, struct query *q, bool stale, uint64_t least);
void hooked_end(struct hooked *h);
/* The same for locks that are held, or waited for, for LEAST ns and more. */
struct locks *locks_begin(struct session *s, struct query *q, uint64_t least);
void locks_end(struct locks *l);
/* Run through the known run without a stop, and come back here. EDGE is called at the start and at the end. False,
 * having complained. */
bool whole_run(struct session *s, void (*edge)(void *user, bool end), void *user);

/* ---- timeline.c ---- */
command_fn do_timeline;

/* ---- vmexit.c ---- */
/* A VM exit, or an instruction of VMX that failed. The machine stands where STOP is, and then at STOP->when. */
void explain_vmx(struct session *s, const struct vcpu_debug_stop *stop);
/* The walk of EPT or nested page tables for an access (1 read, 2 write, 4 fetch) to guest-physical GUEST, and why it is
 * not allowed. False: there is no second level here. */
bool explain_second_walk(struct session *s, uint64_t guest, unsigned access);

/* ---- explain.c, fault.c ---- */
command_fn do_page, do_explain;
/* Print a line, which is an element of the JSON array of reasons, too. */
__attribute__((format(printf, 2, 3)))
void say(struct session *s, const char *format, ...);
void explain_page(struct session *s, uint64_t linear);
/* One instruction, as text; how long it is, 0: nothing is mapped there. */
unsigned instruction_text(struct session *s, uint64_t address, char *text, size_t size);
/* in code of BITS */
unsigned instruction_text_as(struct session *s, uint64_t address, uint64_t bits, char *text, size_t size);
void disassemble_next(struct session *s); /* the instruction that is next */
uint64_t disassemble(struct session *s, uint64_t address, unsigned count); /* where the next one begins */
/* The walk to LINEAR, entry by entry; how many there are, at most 5. */
struct walk_entry { const char *name; unsigned index, level; uint64_t at, value; bool leaf, missing; };
unsigned walk_to(struct session *s, uint64_t linear, struct walk_entry out[5]);

/* ---- json.c ---- */
/* Members of the object that --json prints for the command that runs; without --json they do nothing. In an array
 * NAME is NULL. */
void json_open(struct session *s, const char *name, char bracket); /* '{' or '[' */
void json_close(struct session *s);
void json_cstring(struct session *s, const char *name, const char *text);
void json_text(struct session *s, const char *name, const unsigned char *text, size_t len);
void json_number(struct session *s, const char *name, int64_t n);
void json_hex(struct session *s, const char *name, uint64_t n);
void json_bool(struct session *s, const char *name, bool yes);
void json_line(struct session *s, uint64_t pc); /* its symbol and its line of source */
/* A piece of a command's text and the member of its JSON, from one statement. FORMAT is printf's, with one value. */
#define SHOW_NUMBER(s, name, format, n) SHOW(s, name, format, uint64_t, n, json_number(s, name, (int64_t)shown))
#define SHOW_HEX(s, name, format, n) SHOW(s, name, format, uint64_t, n, json_hex(s, name, shown))
#define SHOW_STRING(s, name, format, text) SHOW(s, name, format, const char *, text, json_cstring(s, name, shown))
#define SHOW(s, name, format, type, value, json) \
	do { \
		type shown = (value); \
		fprintf((s)->out, format, shown); \
		json; \
	} while (0)
/* The text is one of two. */
void show_flag(struct session *s, const char *name, bool yes, const char *if_yes, const char *if_not);
/* An address in code: its name, as symbol_text has it, and the members of json_line. */
void show_symbol(struct session *s, uint64_t at);
/* The numbers of the bits that are set, from FIRST on, behind WHAT, which is left out if there are none. */
void show_bits(struct session *s, const char *name, const char *what, uint64_t bits, unsigned first);
/* Call RUN with ARGUMENT; print its line of JSON, whose command is LINE, on OUT. Meanwhile *SAID takes the guest's
 * output; then it is NULL. SAID NULL: the caller wants none. */
bool json_command(struct session *s, FILE *out, FILE **said, const char *line,
		  bool (*run)(struct session *s, const char *text), const char *argument);

#endif
