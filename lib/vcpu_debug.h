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

/* Debug V from where it stands now; that is the earliest place that it can go back to. With R, which V was made from, inputs come from the
 * recording. NULL with *ERROR. While there is a debugger, run the machine through it only; vcpu_input gives new inputs, from the place where it
 * stands: what came after that in the run before is forgotten. R is not used after the call. */
VCPU_API vcpu_debug *vcpu_debug_new(vcpu *v, const vcpu_replay *r, char **error);
VCPU_API void vcpu_debug_free(vcpu_debug *d); /* before the machine; NULL is fine */
/* Bytes that its snapshots may take [512 MiB]; and instructions from one to the next [16,000,000]. */
VCPU_API void vcpu_debug_limits(vcpu_debug *d, uint64_t bytes, uint64_t interval);

enum vcpu_debug_what {
	VCPU_DEBUG_MACHINE, /* vcpu_run would have stopped: `machine' says why */
	VCPU_DEBUG_BREAK,   /* before the instruction at a breakpoint */
	VCPU_DEBUG_WATCH,   /* after an access to a watched place */
	VCPU_DEBUG_EVENT,   /* an event of vcpu_debug_events */
	VCPU_DEBUG_THERE,   /* at the place that was asked for */
	VCPU_DEBUG_START,   /* no further back: the debugger knows nothing before this */
	VCPU_DEBUG_END,     /* the known run ends here; going on makes it longer */
	VCPU_DEBUG_ERROR,   /* vcpu_error tells */
};

struct vcpu_debug_stop {
	enum vcpu_debug_what what;
	struct vcpu_stop machine;
	int id;                    /* of the breakpoint or watchpoint */
	struct vcpu_place place;   /* where it stands now */
	/* An access: */
	uint64_t address, rip;     /* its address, linear or physical as watched; the instruction that made it */
	unsigned size;
	bool physical, write, device; /* device: not by a processor */
	struct vcpu_place when;    /* the place of the instruction that made it */
	/* An event: */
	unsigned event;
	uint64_t value;
};

/* Stop before the instruction at ADDRESS; on accesses to SIZE bytes from it. An id, or -1 with vcpu_error. */
VCPU_API int vcpu_debug_break(vcpu_debug *d, uint64_t address, bool physical);
VCPU_API int vcpu_debug_watch(vcpu_debug *d, uint64_t address, uint64_t size, bool physical, bool read, bool write);
VCPU_API int vcpu_debug_delete(vcpu_debug *d, int id); /* 0, or -1: there is none */
/* Ask at each hit whether it counts. It may look at the machine, and must not change it. */
VCPU_API void vcpu_debug_condition(vcpu_debug *d, bool (*counts)(void *user, int id), void *user);
enum { VCPU_EVENT_EXCEPTION = 1, VCPU_EVENT_INTERRUPT = 2 }; /* about to be delivered; value: its vector */
VCPU_API void vcpu_debug_events(vcpu_debug *d, unsigned events);

/* Run for at most so many instructions, or, asleep, so much time: VCPU_DEBUG_MACHINE with VCPU_STOP_LIMIT or VCPU_STOP_IDLE. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run(vcpu_debug *d, uint64_t instructions);
/* One place on or back: an instruction, or the entry of a handler. */
VCPU_API struct vcpu_debug_stop vcpu_debug_step(vcpu_debug *d);
VCPU_API struct vcpu_debug_stop vcpu_debug_step_back(vcpu_debug *d);
/* Go to a place; ns may be 0: the first moment of it. */
VCPU_API struct vcpu_debug_stop vcpu_debug_seek(vcpu_debug *d, struct vcpu_place place);
/* Back to the last stop before this place. */
VCPU_API struct vcpu_debug_stop vcpu_debug_run_back(vcpu_debug *d);
/* Back to the instruction (or device) that wrote the SIZE bytes at physical ADDRESS last: VCPU_DEBUG_WATCH, or VCPU_DEBUG_START if nobody has. */
VCPU_API struct vcpu_debug_stop vcpu_debug_last_write(vcpu_debug *d, uint64_t address, uint64_t size);
VCPU_API struct vcpu_place vcpu_debug_start(const vcpu_debug *d);
VCPU_API struct vcpu_place vcpu_debug_end(const vcpu_debug *d);  /* the last place that is known */
/* What every part of the machine remembers, field by field; elements of an array one by one. */
VCPU_API void vcpu_debug_fields(const vcpu_debug *d, void (*each)(void *user, const char *part, const char *field, unsigned index, uint64_t value),
				void *user);
/* Linear to physical as the running processor would; false: nothing is mapped there. */
VCPU_API bool vcpu_debug_translate(const vcpu_debug *d, uint64_t linear, uint64_t *physical);

#ifdef __cplusplus
}
#endif
#endif
