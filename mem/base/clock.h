/* SPDX-License-Identifier: MIT */
/* The machine's one clock: virtual time in nanoseconds, and its events.
 *
 * No part of the library reads the host's time. The processor moves `now` (a function of retired instructions,
 * ARCHITECTURE.md, law 2) before it calls a device, so that a device reads the exact time of the present instruction
 * from clock->now.
 *
 * Events live inside their owners. Equal deadlines fire in the order of their names, so that the order in which
 * devices were built or armed has no effect. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "mem/base/bits.h"

#define CLOCK_NEVER (~(u64)0)
#define CLOCK_JITTER 2000
#define CLOCK_MOVED 8u

struct event {
	const char *name;                      /* unique in its machine; breaks ties; names the event in snapshots */
	void (*fire)(void *owner, u64 late);   /* late: ns between the deadline and now (0 unless time jumped) */
	void *owner;
	u64 when;                              /* deadline, virtual ns; CLOCK_NEVER when not armed */
	struct event *next;                    /* all events of the clock that are registered, by deadline then name */
	bool known;                            /* registered with clock_add */
};

struct clock {
	u64 now;              /* virtual ns since power-on */
	struct event *first;  /* the earliest deadline first */
	/* not 0: deadlines come up to CLOCK_JITTER ns late, each by its own amount, the same for the same seed */
	u64 seed;
	/* Places where the machine has been since instruction steps_at retired, without another one retiring: handlers
	 * of interrupts and of faults, other processors. Together with the instruction count it names every place of a
	 * run. steps_end: which of them is the end of a run. */
	u64 steps_at;
	u32 steps, steps_end;
	/* Since somebody set them: answers of devices that stay the same for a while, and the instant until which all
	 * of them do. No state. */
	u64 steady_answers, steady_until;
	void (*changes)(void *owner, void *at, unsigned len); /* hears of clock_changes; NULL: nobody does */
	void *changes_owner;
	/* gets CLOCK_MOVED whenever the earliest deadline may have changed: the processor's, who runs until then; may
	 * be NULL */
	u32 *attention;
};

/* Make EVENT known to the clock, not armed. NAME and OWNER must outlive it. */
void clock_add(struct clock *clock, struct event *event, const char *name, void (*fire)(void *owner, u64 late),
	       void *owner);
/* Arm (or move) EVENT to the absolute time WHEN; CLOCK_NEVER disarms it. A time in the past fires at the next chance.
 * */
void clock_arm(struct clock *clock, struct event *event, u64 when);
/* The instant NS nanoseconds from now; CLOCK_NEVER when time ends before that (a loaded clock may stand anywhere). */
static inline u64 clock_in(const struct clock *clock, u64 ns)
{
	return ns < CLOCK_NEVER - clock->now ? clock->now + ns : CLOCK_NEVER;
}
/* Steps since instruction ICOUNT retired. */
static inline u32 clock_steps(const struct clock *clock, u64 icount)
{
	return clock->steps_at == icount ? clock->steps : 0;
}
/* The earliest deadline, or CLOCK_NEVER. */
static inline u64 clock_next(const struct clock *clock)
{
	return clock->first ? clock->first->when : CLOCK_NEVER;
}
/* Fire everything due at clock->now, in order. An event may arm itself or others again. */
void clock_fire(struct clock *clock);
/* After a snapshot was loaded the `when` of events has changed: put the list in order again. */
void clock_sort(struct clock *clock);

/* Called by a device that is being read, once: if no event comes and nothing is written, it gives the same answer to
 * each read before the instant UNTIL, and no such read changes anything, but for what the last of them alone decides
 * (as the instant at which it was). Who polls it need not ask again. */
static inline void clock_steady(struct clock *clock, u64 until)
{
	clock->steady_answers++;
	if (until < clock->steady_until)
		clock->steady_until = until;
}

/* Called by a device that is being written, once: all that this changes is LEN bytes AT that place, 8 at most, which
 * have still their values from before, and what follows from them. If they have the same values later, it is as if
 * nobody had written. */
static inline void clock_changes(struct clock *clock, void *at, unsigned len)
{
	if (!clock->changes)
		return;
	clock->steady_answers++;
	clock->changes(clock->changes_owner, at, len);
}

/* A counter that runs at HZ: ticks in NS nanoseconds since its origin, and the first instant at which it shows TICKS.
 * Exact for all u64 inputs whose result fits. */
static inline u64 clock_ticks(u64 ns, u64 hz)
{
	return (u64)((unsigned __int128)ns * hz / 1000000000u);
}

static inline u64 clock_ns(u64 ticks, u64 hz)
{
	return (u64)(((unsigned __int128)ticks * 1000000000u + hz - 1) / hz);
}

#endif
