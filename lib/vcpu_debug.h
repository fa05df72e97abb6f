/* SPDX-License-Identifier: MIT */
/* A debugger for a machine, in both directions of time.
 *
 *     vcpu_debug *d = vcpu_debug_new(v, NULL, &error);
 *     int id = vcpu_debug_break(d, 0xffffffff81000000, false);
 *     struct vcpu_debug_stop s = vcpu_debug_run(d, UINT64_MAX);
 *
 *     if (s.what == VCPU_DEBUG_BREAK && s.id == id)
 *             vcpu_debug_step_back(d);
 *     vcpu_debug_free(d);
 *
 * A debugger takes snapshots during the run and remembers the inputs. To go to a place, it restores the snapshot
 * before that place and runs from there with the same inputs. A debugger changes neither the state of the guest nor
 * vcpu_state_hash. */
#ifndef VCPU_DEBUG_H
#define VCPU_DEBUG_H

#include <vcpu_replay.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vcpu_debug vcpu_debug;

/* Debug V from its present place, which is the earliest place that the debugger can reach. R is the replay that made
 * V, or NULL; with R the inputs come from the recording. R is not used after the call. NULL with *ERROR.
 *
 * While there is a debugger, run V only through it. vcpu_input gives a new input at the present place, and the
 * debugger forgets the run after this place. So do changes by the caller outside of callbacks (vcpu_set,
 * vcpu_set_vector, vcpu_set_st, vcpu_write_physical and vcpu_write_linear): the run has them at this place from now
 * on. The same holds for changes by hooks before instructions (vcpu_hook.h). The machine's `output' receives each
 * output once, however often the debugger repeats it. With a device of the caller that has no save and restore (struct
 * vcpu_device), calls that go back return VCPU_DEBUG_ERROR with vcpu_error, and the machine keeps its place. */
VCPU_API vcpu_debug *vcpu_debug_new(vcpu *v, const vcpu_replay *r, char **error);
VCPU_API void vcpu_debug_free(vcpu_debug *d); /* call it before vcpu_free; NULL does nothing; nor does a call in a
	                                         callback */
/* Set the bytes that the snapshots may take [512 MiB] and the instructions from one snapshot to the next
 * [16,000,000]. */
VCPU_API void vcpu_debug_limits(vcpu_debug *d, uint64_t bytes, uint64_t interval);

enum vcpu_debug_what {
	VCPU_DEBUG_MACHINE, /* vcpu_run would have stopped: `machine' has the reason */
	VCPU_DEBUG_BREAK,   /* before the instruction at a breakpoint */
	VCPU_DEBUG_WATCH,   /* after an access to a watched range; backwards, before it: the old value is there again */
	VCPU_DEBUG_EVENT,   /* at an event of vcpu_debug_catch */
	VCPU_DEBUG_THERE,   /* at the requested place */
	VCPU_DEBUG_START,   /* at the start: the debugger knows nothing before it */
	VCPU_DEBUG_END,     /* at the end of the known run; a further run extends it */
	VCPU_DEBUG_ERROR,   /* vcpu_error has the reason */
};

/* The cause of an exception or interrupt. */
enum vcpu_cause {
	VCPU_CAUSE_OUTSIDE,   /* an external interrupt, NMI */
	VCPU_CAUSE_FAULT,     /* a check of the instruction failed; `name' is the check (as vcpu_fault.why), or NULL */
	VCPU_CAUSE_TRAP,      /* #DB behind an instruction */
	VCPU_CAUSE_INT,       /* the instruction INT n */
	VCPU_CAUSE_INT3_INTO, /* INT3; INTO */
	VCPU_CAUSE_INT1,
};

struct vcpu_debug_stop {
	enum vcpu_debug_what what;
	struct vcpu_stop machine;
	int id;                    /* of the breakpoint, watchpoint or catch */
	struct vcpu_place place;   /* the present place */
	/* An access, or an event: */
	uint64_t address, rip;     /* its address, linear or physical as watched; the address of its instruction */
	unsigned size;
	bool physical, write, device; /* device: a device made the access */
	struct vcpu_place when;    /* the place of its instruction */
	/* An event: */
	unsigned event;            /* VCPU_EVENT_* */
	uint64_t value;
	const char *name;
	enum vcpu_cause cause;     /* of an exception or interrupt */
};

/* The events, with the meaning of `address'; `value'. The debugger stops after the instruction that causes an event.
 * It reports an exception or interrupt before the processor enters the handler; the stop is at the handler. */
enum {
	VCPU_EVENT_EXCEPTION = 1,  /* the vector; its error code. INT n is an exception, too: see `cause' */
	VCPU_EVENT_INTERRUPT = 2,  /* the vector */
	VCPU_EVENT_PORT = 4,       /* the first port; the value */
	VCPU_EVENT_MMIO = 8,       /* a device in memory: the physical address; the value (the first 8 bytes of a
	                              longer access) */
	VCPU_EVENT_MSR = 0x10,     /* the number of the MSR; the value */
	VCPU_EVENT_CR3 = 0x20,     /* the new value; the old value: an address space begins */
	VCPU_EVENT_MODE = 0x40,    /* VCPU_MODE_* of the new mode; of the old mode */
	VCPU_EVENT_CLOCK = 0x80,   /* an event of a device on the clock, by `name': 0; its time in virtual ns */
	VCPU_EVENT_OUTPUT = 0x100, /* the channel (enum vcpu_channel: COM1 to COM4, DEBUGCON, CONSOLE, FIRMWARE,
	                              LPT1), whose output now ends with the text `name'; 0 */
	VCPU_EVENT_MEMORY = 0x200, /* for vcpu_debug_trace only: the linear address; the value */
	VCPU_EVENT_RESET = 0x400,  /* for vcpu_debug_trace only, before the reset: 0, of the machine; 1, INIT of a
	                              processor */
	/* VMX (SDM vol. 3, chapters 26, 27 and 30) and SVM (APM vol. 2, chapter 15); `name' says why, in words. */
	VCPU_EVENT_VMENTRY = 0x800, /* the guest's RIP; the interruption information of the injected event, or EVENTINJ.
	                              The stop is at the guest's first instruction */
	VCPU_EVENT_VMEXIT = 0x1000, /* VMX: the basic exit reason; the exit qualification. SVM: VCPU_SVM | bits 15-0 of
	                              the exit code; EXITINFO1. `rip' is the guest's, and the stop is at the host's
	                              handler */
	VCPU_EVENT_VMFAIL = 0x2000, /* an instruction of VMX fails without an exit: the VM-instruction error; 0 if there
	                              is no current VMCS */
};
enum {
	VCPU_MODE_16 = 0, VCPU_MODE_32 = 1, VCPU_MODE_64 = 2,
	VCPU_MODE_PROTECTED = 8, VCPU_MODE_V86 = 0x10, VCPU_MODE_LONG = 0x20
};

/* Stop before the instruction at ADDRESS. vcpu_debug_watch stops at accesses of processors to SIZE bytes from
 * ADDRESS, and at writes of devices. At a linear address the debugger finds writes of devices through the page
 * tables of the processors at that time. Return an id, or -1 with vcpu_error. */
VCPU_API int vcpu_debug_break(vcpu_debug *d, uint64_t address, bool physical);
/* Stop before every XCHG BX,BX of 16 bits, the magic breakpoint of Bochs, with VCPU_DEBUG_BREAK. */
VCPU_API int vcpu_debug_magic(vcpu_debug *d);
VCPU_API int vcpu_debug_watch(vcpu_debug *d, uint64_t address, uint64_t size, bool physical, bool read, bool write);
VCPU_API int vcpu_debug_delete(vcpu_debug *d, int id); /* 0, or -1: there is no such id */
/* Stop at events of KINDS whose address is from FIRST to LAST. Returns an id, or -1 with vcpu_error. NAME is the
 * beginning of the name for VCPU_EVENT_CLOCK (NULL: any), and the text for VCPU_EVENT_OUTPUT. An event without a
 * direction counts as a write. */
struct vcpu_debug_catch {
	size_t size; /* sizeof(struct vcpu_debug_catch), as struct vcpu_config has its size [that of the library] */
	unsigned kinds;
	uint64_t first, last;
	bool read, write;
	const char *name;
};
VCPU_API int vcpu_debug_catch(vcpu_debug *d, const struct vcpu_debug_catch *what);
/* Call COUNTS at each hit: false lets the run go on. The callback may read the machine and must not change it. */
VCPU_API void vcpu_debug_condition(vcpu_debug *d,
				   bool (*counts)(void *user, const struct vcpu_debug_stop *stop), void *user);

/* Call EACH for every event of KINDS (VCPU_EVENT_*) during vcpu_debug_run, without a stop. EACH is a callback
 * (vcpu.h): VCPU_RIP and vcpu_instructions are those of the event. KINDS 0, or EACH NULL, ends it. */
struct vcpu_debug_event {
	unsigned kind, size, processor;
	uint64_t instructions, rip, address, value;
	bool write;
	const char *name;
	enum vcpu_cause cause;
};
VCPU_API void vcpu_debug_trace(vcpu_debug *d, unsigned kinds,
			       void (*each)(void *user, const struct vcpu_debug_event *event), void *user);
/* Call BUILT for all code that runs from now on: a basic block of SIZE bytes at linear ADDRESS, whose beginning is
 * executed for the first time. NULL ends it. */
VCPU_API void vcpu_debug_coverage(vcpu_debug *d,
				  void (*built)(void *user, uint64_t address, unsigned size), void *user);

/* Call ON at least every 1,000,000 instructions while the debugger runs the machine. False stops it, with
 * VCPU_DEBUG_MACHINE and VCPU_STOP_REQUEST, as vcpu_stop does. ON must not call the debugger or change the machine.
 * NULL: no calls. */
VCPU_API void vcpu_debug_progress(vcpu_debug *d, bool (*on)(void *user), void *user);

/* Run for at most INSTRUCTIONS instructions or, asleep, their time: VCPU_DEBUG_MACHINE with VCPU_STOP_LIMIT or
 * VCPU_STOP_IDLE. A breakpoint at the first place of the call does not stop it. A breakpoint at the last place does. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run(vcpu_debug *d, uint64_t instructions);
/* Go one place forwards or backwards: an instruction, or the entry of a handler. VCPU_DEBUG_THERE, or
 * VCPU_DEBUG_WATCH at a watched access. */
VCPU_API struct vcpu_debug_stop vcpu_debug_step(vcpu_debug *d);
VCPU_API struct vcpu_debug_stop vcpu_debug_step_back(vcpu_debug *d);
/* Go to PLACE; ns 0 is its first moment. */
VCPU_API struct vcpu_debug_stop vcpu_debug_seek(vcpu_debug *d, struct vcpu_place place);
/* Go back to the last stop before this place. A watched access of the instruction before this place is one. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run_back(vcpu_debug *d);
/* Go back to the last write to the SIZE bytes at physical ADDRESS, by an instruction or a device: VCPU_DEBUG_WATCH,
 * or VCPU_DEBUG_START if there was no write. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_write(vcpu_debug *d, uint64_t address, uint64_t size);
/* Go back to the last event of KINDS with an address from FIRST to LAST, at this place or before; other stops do not
 * count. The place of an exception or interrupt is the entry of its handler, which may be this place.
 * VCPU_DEBUG_EVENT, or VCPU_DEBUG_START if there was no event. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_event(vcpu_debug *d, unsigned kinds, uint64_t first, uint64_t last);
/* Go back to the last instruction of the selected processor that has set register REG (VCPU_RAX, or a number of
 * vcpu_register_by_name) or a part of it, with the same value or another: VCPU_DEBUG_THERE, before it; `rip' is its
 * address. VCPU_DEBUG_EVENT: the delivery of an exception or interrupt has (RSP); `event' and `address' tell which, and
 * the place is before it. VCPU_DEBUG_START if there was none. For registers other than general ones, vectors and masks
 * it is the last instruction that has changed the value. RIP and TSC are an error. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_set(vcpu_debug *d, int reg);
/* The next instruction of the selected processor: what it reads and writes. Implied operands, as RAX of MUL, are not
 * among OPERANDS; the stack of PUSH and POP is. Destinations come first. */
enum vcpu_operand_kind { VCPU_OPERAND_REGISTER, VCPU_OPERAND_MEMORY, VCPU_OPERAND_IMMEDIATE, VCPU_OPERAND_OTHER };
struct vcpu_debug_operand {
	enum vcpu_operand_kind kind;
	int reg;              /* the whole register: VCPU_RAX, "zmm0", "k1"; else -1 */
	unsigned first, size; /* the operand's first byte in it (1 for AH to BH); the bytes of the operand */
	uint64_t value;       /* the linear address of memory; an immediate */
	bool written;
};
struct vcpu_debug_instruction {
	unsigned size, row;   /* bytes; the row of vcpu_isa_row */
	/* the low bytes of the first operand become those of the last one, if any condition holds; of XCHG both ways */
	bool copies;
	bool repeated;        /* REP: VALUE of memory is that of the first element */
	unsigned count;
	struct vcpu_debug_operand operands[5];
};
/* False: no instruction can be read there. */
VCPU_API bool vcpu_debug_instruction(const vcpu_debug *d, struct vcpu_debug_instruction *out);
/* The register of struct vcpu_debug_operand that REG is or is a part of, and the first byte of REG in it: of "ah"
 * VCPU_RAX and 1. FIRST can be NULL. -1: there is no register REG. */
VCPU_API int vcpu_debug_whole(const vcpu_debug *d, int reg, unsigned *first);
VCPU_API struct vcpu_place vcpu_debug_start(const vcpu_debug *d);
VCPU_API struct vcpu_place vcpu_debug_end(const vcpu_debug *d);  /* the last known place */
/* Call EACH for every field of every part of the state. Each element of an array is a field. */
VCPU_API void vcpu_debug_fields(const vcpu_debug *d,
				void (*each)(void *user, const char *part, const char *field, unsigned index,
					     uint64_t value),
				void *user);
/* Call EACH for every translation in the TLB of the selected processor. SIZE is the size of the page; LINEAR and
 * PHYSICAL are the addresses of the 4 KiB of it that are in use. */
struct vcpu_debug_translation { uint64_t linear, physical, size; bool user, read, write, execute, global; };
VCPU_API void vcpu_debug_tlb(const vcpu_debug *d,
			     void (*each)(void *user, const struct vcpu_debug_translation *t), void *user);
/* The second level of paging (EPT, SDM vol. 3, 28.3; nested paging, APM vol. 2, 15.25) of the selected processor: where
 * guest-physical GUEST is in the machine's memory. GUEST itself if the processor does not run a guest with it.
 * False: it is not mapped for reads. */
VCPU_API bool vcpu_debug_second_level(const vcpu_debug *d, uint64_t guest, uint64_t *physical);
/* Call EACH for every field of the current VMCS of the selected processor (SDM vol. 3, appendix B). NAME is a constant.
 * False: the processor is not in VMX operation, or has no current VMCS. */
VCPU_API bool vcpu_debug_vmcs(const vcpu_debug *d,
			      void (*each)(void *user, const char *name, uint32_t encoding, uint64_t value), void *user);
/* Call EACH for every field of the VMCB of the last VMRUN of the selected processor (APM vol. 2, appendix B). NAME is a
 * constant. False: the processor has no SVM, or has executed no VMRUN since its reset. */
VCPU_API bool vcpu_debug_vmcb(const vcpu_debug *d,
			      void (*each)(void *user, const char *name, uint32_t offset, uint64_t value), void *user);
/* The walk of EPT or of nested page tables for an access to guest-physical GUEST: ACCESS is 1 for a read, 2 for a
 * write, 4 for a fetch. Entry n is at physical entries[n].address; the last one is a page's, or forbids the access.
 * WHY: what entries[culprit] lacks or has, a constant; the whole reason if COUNT is 0; NULL if the access is allowed.
 * False: the selected processor runs no guest with a second level of paging. */
struct vcpu_debug_second_walk {
	bool nested;               /* the tables are SVM's: entries have the format of the host's page tables */
	unsigned count, culprit;
	struct { uint64_t address, value; } entries[5];
	const char *why;
};
VCPU_API bool vcpu_debug_second_walk(const vcpu_debug *d, uint64_t guest, unsigned access,
				     struct vcpu_debug_second_walk *walk);
/* In place of the numbers of VMX, those of SVM: exit codes (bits 15-0), offsets in the VMCB. */
#define VCPU_SVM 0x10000u
/* The first check of a VM entry (SDM vol. 3, 26.2 and 26.3) that the current VMCS of the selected processor does not
 * come through; outside of VMX operation, the first check of VMRUN (APM vol. 2, 15.5.1) that the VMCB at rAX does not
 * come through: the field (ENCODING: of the VMCS, or VCPU_SVM | its offset), its value, and what is wrong, a constant:
 * "is above 4 (26.2.1.1)". False: it comes through all of them, or there is no current VMCS and no SVM. */
struct vcpu_debug_check { const char *field; uint32_t encoding; uint64_t value; const char *rule; };
VCPU_API bool vcpu_debug_vmentry(const vcpu_debug *d, struct vcpu_debug_check *failed);
/* What VALUE of a field means: names of the bits that are set, of an exit reason, of an event ... ENCODING is that of a
 * VMCS field, or VCPU_SVM | the offset of a field of the VMCB. Returns the length as snprintf does; 0 if the number is
 * all that there is to say. TEXT can be NULL if SIZE is 0. */
VCPU_API size_t vcpu_vmcs_text(uint32_t encoding, uint64_t value, char *text, size_t size);
/* The same for the `value' of VCPU_EVENT_VMEXIT, an exit qualification or EXITINFO1. EXIT is its `address'. */
VCPU_API size_t vcpu_vmexit_text(uint32_t exit, uint64_t value, char *text, size_t size);
/* The name of a basic exit reason (SDM vol. 3, appendix C), or VCPU_SVM | an exit code (APM vol. 2, appendix C), a
 * constant. NULL: there is no such reason. */
VCPU_API const char *vcpu_vmexit_name(uint32_t exit);
/* The cache of decoded code (vcpu_cache_counts): an operation of a block. */
struct vcpu_debug_operation {
	uint64_t block;            /* linear address of the block's first byte */
	unsigned bytes, bits;      /* the length of the block; the default size of its mode: 16, 32, 64 */
	unsigned index, count;     /* the number of this operation in its block, from 0; the number of operations */
	bool single, stitched;     /* the block has one instruction, for a run that ends there; the block is machine
	                              code */
	uint64_t address;          /* linear address of its instruction; of two fused ones, of the second */
	unsigned size;             /* length of the instruction; 0: the operation is no part of one, e.g. the end of
	                              a block */
	const char *name, *form;   /* the instruction's mnemonic, and the kinds of its operands: R, M, RR, RI, RM,
	                              MR, MI. "": none, or others */
	const void *code;          /* its machine code on the host, without the unlikely parts; valid in EACH only.
	                              NULL: none of its own */
	unsigned code_size;
};
/* Call EACH for every operation of all blocks that contain the byte at linear ADDRESS, block by block. Code that has
 * not run has no block. A change of breakpoints flushes all blocks. */
VCPU_API void vcpu_debug_blocks(const vcpu_debug *d, uint64_t address,
				void (*each)(void *user, const struct vcpu_debug_operation *o), void *user);
/* Call EACH for every event of a device, in order of time. WHEN is in virtual ns; all ones: not armed. */
VCPU_API void vcpu_debug_clock(const vcpu_debug *d,
			       void (*each)(void *user, const char *name, uint64_t when), void *user);
/* Translate a linear address with the page tables of the running processor. False: not mapped. */
VCPU_API bool vcpu_debug_translate(const vcpu_debug *d, uint64_t linear, uint64_t *physical);

#ifdef __cplusplus
}
#endif
#endif
