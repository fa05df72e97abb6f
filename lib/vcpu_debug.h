/* Debugging a machine, in both directions of time.
 *
 * A debugger takes snapshots as the run goes on and remembers its inputs. Going to any place of the run is going back to the snapshot before it
 * and running on from there, with the same inputs. None of it changes what the guest sees, or vcpu_state_hash.
 *
 *     vcpu_debug *d = vcpu_debug_new(v, NULL, &error);
 *     int id = vcpu_debug_break(d, 0xffffffff81000000, false);
 *     struct vcpu_debug_stop s = vcpu_debug_run(d, UINT64_MAX);
 *     vcpu_debug_step(d, -1); */
#ifndef VCPU_DEBUG_H
#define VCPU_DEBUG_H

#include <vcpu_replay.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vcpu_debug vcpu_debug;

/* Debug V from where it stands now; that is the earliest place that it can go back to. With R, which V was made
 * from, inputs come from the recording. NULL with *ERROR. While there is a debugger, run the machine through it
 * only; vcpu_input gives new inputs, from the place where it stands: what came after that in the run before is
 * forgotten. So do changes by hand (vcpu_set, vcpu_set_vector, vcpu_set_st, vcpu_write_physical and
 * vcpu_write_linear outside of callbacks): the run has them at this place from now on. What the guest says is told
 * to the machine's `output' once, however often the run is gone through. R is not used after the call.
 * With a device of the caller's own that cannot be asked for its state (struct vcpu_device), what would go back is
 * VCPU_DEBUG_ERROR with vcpu_error, and the machine stays where it is. */
VCPU_API vcpu_debug *vcpu_debug_new(vcpu *v, const vcpu_replay *r, char **error);
VCPU_API void vcpu_debug_free(vcpu_debug *d); /* before the machine; NULL is fine; in a callback it does nothing */
/* Bytes that its snapshots may take [512 MiB]; and instructions from one to the next [16,000,000]. */
VCPU_API void vcpu_debug_limits(vcpu_debug *d, uint64_t bytes, uint64_t interval);

enum vcpu_debug_what {
	VCPU_DEBUG_MACHINE, /* vcpu_run would have stopped: `machine' says why */
	VCPU_DEBUG_BREAK,   /* before the instruction at a breakpoint */
	VCPU_DEBUG_WATCH,   /* after an access to a watched place; going back, before it: what was there is there again */
	VCPU_DEBUG_EVENT,   /* at an event of vcpu_debug_catch */
	VCPU_DEBUG_THERE,   /* at the place that was asked for */
	VCPU_DEBUG_START,   /* no further back: the debugger knows nothing before this */
	VCPU_DEBUG_END,     /* the known run ends here; going on makes it longer */
	VCPU_DEBUG_ERROR,   /* vcpu_error tells */
};

/* How an exception or interrupt came about. */
enum vcpu_cause {
	VCPU_CAUSE_OUTSIDE,   /* an external interrupt, NMI */
	VCPU_CAUSE_FAULT,     /* the processor found that the instruction may not be done; `name': the check that failed (as vcpu_fault.why), or NULL */
	VCPU_CAUSE_TRAP,      /* #DB behind an instruction */
	VCPU_CAUSE_INT,       /* the instruction INT n */
	VCPU_CAUSE_INT3_INTO, /* INT3; INTO */
	VCPU_CAUSE_INT1,
};

struct vcpu_debug_stop {
	enum vcpu_debug_what what;
	struct vcpu_stop machine;
	int id;                    /* of the breakpoint, watchpoint or catch */
	struct vcpu_place place;   /* where it stands now */
	/* An access, or an event: */
	uint64_t address, rip;     /* its address, linear or physical as watched; the instruction that made it */
	unsigned size;
	bool physical, write, device; /* device: not by a processor */
	struct vcpu_place when;    /* the place of the instruction that made it */
	/* An event: */
	unsigned event;            /* VCPU_EVENT_* */
	uint64_t value;
	const char *name;
	enum vcpu_cause cause;     /* of an exception or interrupt */
};

/* What can happen, and what `address' and `value' then are. It is seen once it is done, and an instruction that has done it is finished first; but an
 * exception or interrupt is seen before its handler is entered, and the stop is at the handler. */
enum {
	VCPU_EVENT_EXCEPTION = 1,  /* the vector; its error code. INT n is one: see `cause'. */
	VCPU_EVENT_INTERRUPT = 2,  /* the vector */
	VCPU_EVENT_PORT = 4,       /* the first port; what went through */
	VCPU_EVENT_MMIO = 8,       /* a device in memory: the physical address; what was read or written (of what is longer, the first 8 bytes) */
	VCPU_EVENT_MSR = 0x10,     /* its number; what was read or written */
	VCPU_EVENT_CR3 = 0x20,     /* the new one; the old one. An address space begins. */
	VCPU_EVENT_MODE = 0x40,    /* VCPU_MODE_* of the new mode; of the old one */
	VCPU_EVENT_CLOCK = 0x80,   /* a device's event on the clock, by `name': 0; its time in virtual ns */
	VCPU_EVENT_OUTPUT = 0x100, /* the channel (enum vcpu_channel; bytes: COM1 to COM4, DEBUGCON, CONSOLE, FIRMWARE, LPT1) has now said `name'; 0 */
	VCPU_EVENT_MEMORY = 0x200, /* for vcpu_debug_trace only: the linear address; what was read or written */
	VCPU_EVENT_RESET = 0x400,  /* for vcpu_debug_trace only, before it happens: 0, the machine's; 1, INIT of a processor */
};
enum { VCPU_MODE_16 = 0, VCPU_MODE_32 = 1, VCPU_MODE_64 = 2, VCPU_MODE_PROTECTED = 8, VCPU_MODE_V86 = 0x10, VCPU_MODE_LONG = 0x20 };

/* Stop before the instruction at ADDRESS; on accesses to SIZE bytes from it: by processors, and writes by devices,
 * which are found at a linear address through the page tables of the processors at that time. An id, or -1 with
 * vcpu_error. */
VCPU_API int vcpu_debug_break(vcpu_debug *d, uint64_t address, bool physical);
/* Stop before every XCHG BX,BX of 16 bits, the magic breakpoint of Bochs: VCPU_DEBUG_BREAK. */
VCPU_API int vcpu_debug_magic(vcpu_debug *d);
VCPU_API int vcpu_debug_watch(vcpu_debug *d, uint64_t address, uint64_t size, bool physical, bool read, bool write);
VCPU_API int vcpu_debug_delete(vcpu_debug *d, int id); /* 0, or -1: there is none */
/* Stop at events of KINDS whose address is from FIRST to LAST; an id, or -1 with vcpu_error. NAME: of EVENT_CLOCK, how its name begins (NULL: any); of EVENT_OUTPUT, the text. Those that know no reads are writes. */
struct vcpu_debug_catch { unsigned kinds; uint64_t first, last; bool read, write; const char *name; };
VCPU_API int vcpu_debug_catch(vcpu_debug *d, const struct vcpu_debug_catch *what);
/* Ask at each hit whether it counts; a callback, which may look at the machine and must not change it. */
VCPU_API void vcpu_debug_condition(vcpu_debug *d, bool (*counts)(void *user, const struct vcpu_debug_stop *stop), void *user);

/* Tell EACH of everything of KINDS (VCPU_EVENT_*) that happens while the machine runs on in vcpu_debug_run, and stop at none of it. EACH is a
 * callback (vcpu.h): VCPU_RIP and vcpu_instructions are the event's. KINDS 0, or NULL: no more. */
struct vcpu_debug_event {
	unsigned kind, size, processor;
	uint64_t instructions, rip, address, value;
	bool write;
	const char *name;
	enum vcpu_cause cause;
};
VCPU_API void vcpu_debug_trace(vcpu_debug *d, unsigned kinds, void (*each)(void *user, const struct vcpu_debug_event *event), void *user);
/* Tell BUILT of all code that runs from now on, whichever way it is come to: SIZE bytes at linear ADDRESS, a straight piece whose beginning is executed for the first
 * time. NULL: no more. */
VCPU_API void vcpu_debug_coverage(vcpu_debug *d, void (*built)(void *user, uint64_t address, unsigned size), void *user);

/* While the debugger goes through the run, ask ON about every 16,000,000 instructions whether to go on. False: it
 * stops on the way, with VCPU_DEBUG_MACHINE and VCPU_STOP_REQUEST, as after vcpu_stop. ON must not call the debugger
 * or change the machine. NULL: nobody is asked. */
VCPU_API void vcpu_debug_progress(vcpu_debug *d, bool (*on)(void *user), void *user);

/* Run for at most so many instructions, or, asleep, so much time: VCPU_DEBUG_MACHINE with VCPU_STOP_LIMIT or
 * VCPU_STOP_IDLE. A breakpoint at the place where this call begins does not stop it, one at the place where it ends
 * does. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run(vcpu_debug *d, uint64_t instructions);
/* One place on or back: an instruction, or the entry of a handler. VCPU_DEBUG_THERE, or VCPU_DEBUG_WATCH where that
 * is, or was, a watched access. */
VCPU_API struct vcpu_debug_stop vcpu_debug_step(vcpu_debug *d);
VCPU_API struct vcpu_debug_stop vcpu_debug_step_back(vcpu_debug *d);
/* Go to a place; ns may be 0: the first moment of it. */
VCPU_API struct vcpu_debug_stop vcpu_debug_seek(vcpu_debug *d, struct vcpu_place place);
/* Back to the last stop before this place; an access that the instruction before this place made is one. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run_back(vcpu_debug *d);
/* Back to the instruction (or device) that wrote the SIZE bytes at physical ADDRESS last: VCPU_DEBUG_WATCH, or VCPU_DEBUG_START if nobody has. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_write(vcpu_debug *d, uint64_t address, uint64_t size);
/* Back to where the last event of KINDS with an address from FIRST to LAST was seen, by this place or before, whatever other stops there are: an exception
 * or interrupt, at the entry of its handler, which may be here. VCPU_DEBUG_EVENT, or VCPU_DEBUG_START if there has been none. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_event(vcpu_debug *d, unsigned kinds, uint64_t first, uint64_t last);
VCPU_API struct vcpu_place vcpu_debug_start(const vcpu_debug *d);
VCPU_API struct vcpu_place vcpu_debug_end(const vcpu_debug *d);  /* the last place that is known */
/* What every part of the machine remembers, field by field; elements of an array one by one. */
VCPU_API void vcpu_debug_fields(const vcpu_debug *d, void (*each)(void *user, const char *part, const char *field, unsigned index, uint64_t value),
				void *user);
/* What the TLB of the selected processor holds; SIZE is that of the page, LINEAR and PHYSICAL are of the 4 KiB of it that are in use. */
struct vcpu_debug_translation { uint64_t linear, physical, size; bool user, read, write, execute, global; };
VCPU_API void vcpu_debug_tlb(const vcpu_debug *d, void (*each)(void *user, const struct vcpu_debug_translation *t), void *user);
/* The cache of decoded code (vcpu_cache_counts): an operation of a block. */
struct vcpu_debug_operation {
	uint64_t block;            /* linear address of the block's first byte */
	unsigned bytes, bits;      /* of the block; of its mode: 16, 32, 64 */
	unsigned index, count;     /* which of the block's operations this is, from 0; how many there are */
	bool single, stitched;     /* the block is of one instruction, for a run that ends there; it is machine code */
	uint64_t address;          /* linear address of its instruction; of two that became one, of the second */
	unsigned size;             /* bytes of that; 0: it is no part of an instruction, as the one that ends a block */
	const char *name, *form;   /* the instruction's mnemonic, and the kinds of its operands: R, M, RR, RI, RM, MR, MI. "": none, or others */
	const void *code;          /* its machine code, on the host; what it does seldom is elsewhere. NULL: it has none of its own. In EACH only */
	unsigned code_size;
};
/* Tell EACH of all operations of all blocks that have the byte at linear ADDRESS, block by block. Code that has not run has none, and there are few
 * after a change of breakpoints, which flushes them. */
VCPU_API void vcpu_debug_blocks(const vcpu_debug *d, uint64_t address, void (*each)(void *user, const struct vcpu_debug_operation *o), void *user);
/* The events of devices, in the order in which they come; WHEN in virtual ns, all ones: not armed. */
VCPU_API void vcpu_debug_clock(const vcpu_debug *d, void (*each)(void *user, const char *name, uint64_t when), void *user);
/* Linear to physical as the running processor would; false: nothing is mapped there. */
VCPU_API bool vcpu_debug_translate(const vcpu_debug *d, uint64_t linear, uint64_t *physical);

#ifdef __cplusplus
}
#endif
#endif
