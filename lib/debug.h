/* SPDX-License-Identifier: MIT */
/* Inside of a debugger, for debug.c and debug_stops.c. */
#ifndef LIB_DEBUG_H
#define LIB_DEBUG_H

#include "cpu/observe.h"
#include "lib/change.h"
#include "lib/vcpu_debug.h"
#include "lib/vcpu_snapshot.h"

struct checkpoint {
	struct vcpu_place at;
	vcpu_snapshot *state;
	size_t input;                       /* the next one */
	struct bloom executed, written;     /* from here to the next checkpoint, as far as the run has been there */
};

struct input {
	struct vcpu_place at;
	/* enum vcpu_channel, or enum change (change.c) */
	unsigned channel;
	u8 *data;
	size_t len;
};

enum point_kind { POINT_BREAK, POINT_MAGIC, POINT_WATCH, POINT_CATCH };
struct stop_point {
	int id;
	enum point_kind kind;
	bool physical;
	u64 address;
	struct watch watch;
	struct filter filter;
	char *name;                         /* of the filter's: a clock event's name, or a text */
};

/* A page of memory with PAGE_WATCH. */
struct marked_page { struct ram *ram; u64 page; };

/* What the guest has said, byte by byte, so that a text is found that a snapshot has cut in two. */
struct said { u64 icount; u8 channel, byte; };

struct vcpu_debug {
	struct vcpu *v;
	struct observer observer;
	struct checkpoint **checkpoints;
	size_t ncheckpoints;
	struct input *inputs;
	size_t ninputs, inputs_room, next;
	u8 *spare;                          /* for the bytes of the next one: debug_room */
	bool feeding;                       /* vcpu_input is called by us */
	/* vcpu_debug_run_back finds what happened on the way to this very place, too */
	bool here_counts;
	struct vcpu_place end;              /* the run is known up to here */
	struct { struct vcpu_place at; unsigned kind; int id; } called; /* the last call of a changer */
	struct vcpu_place heard;            /* what the guest said has been told up to here */
	struct stop_point *points;
	size_t npoints;
	size_t room;                        /* points that the observer's tables can take */
	int last_id;
	struct marked_page *marked;
	size_t nmarked;
	/* vcpu_debug_run ended here without a look at what stops here; all ones: nowhere */
	struct vcpu_place unseen;
	u64 bytes_max, interval;
	bool (*on)(void *user);             /* vcpu_debug_progress's; NULL: nobody asks */
	void *on_user;
	bool (*counts)(void *user, const struct vcpu_debug_stop *stop);
	void *user;
	struct said *said;
	size_t nsaid, said_room;
	void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len); /* the machine's own */
	void *output_user;
	void (*each)(void *user, const struct vcpu_debug_event *event); /* vcpu_debug_trace's */
	void *each_user;
	void (*built)(void *user, u64 address, unsigned size);          /* vcpu_debug_coverage's */
	void *built_user;
};

/* ---- debug.c ---- */

/* Pass over what is known before this place, from each checkpoint to the next one, the last part first, until FOUND,
 * asked at the end of each part, says yes: VCPU_DEBUG_THERE, at the end of that part. VCPU_DEBUG_START: it never has.
 */
struct vcpu_debug_stop debug_pass_back(struct vcpu_debug *d, bool (*found)(void *user), void *user);

/* The caller has changed the machine, for which there is room: a debugger does it again whenever its run comes by. */
void debug_change(struct vcpu_debug *d, enum change what, const u8 head[CHANGE_HEAD], const void *bytes, size_t len);

/* ---- debug_stops.c ---- */

/* In a callback, or for NULL: vcpu_debug_* that would change anything is refused. */
static inline bool debug_refuses(const struct vcpu_debug *d)
{
	return !d || machine_refuses(d->v, "a function of the debugger");
}
/* Tell the processors what to look for. */
void debug_arm(struct vcpu_debug *d);
/* Watched pages may be elsewhere now: to be called before every run and now and then in it. False with the machine's
 * error text: no memory. */
bool debug_mark_pages(struct vcpu_debug *d);
/* The point that the observer's hit is one of; 0: none. */
int debug_hit_id(const struct vcpu_debug *d);
/* Listen to what the guest says, from now on, and no more. False: no memory. */
bool debug_listen(struct vcpu_debug *d);
void debug_listen_no_more(struct vcpu_debug *d);
/* The run is back where ICOUNT instructions have retired. */
void debug_unsay(struct vcpu_debug *d, u64 icount);

#endif
