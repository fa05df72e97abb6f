/* SPDX-License-Identifier: MIT */
#include "mem/base/clock.h"
#include "mem/base/field.h"

static bool before(const struct event *a, const struct event *b)
{
	return a->when != b->when ? a->when < b->when : strcmp(a->name, b->name) < 0;
}

static void insert(struct clock *clock, struct event *event)
{
	struct event **at = &clock->first;

	while (*at && before(*at, event))
		at = &(*at)->next;
	event->next = *at;
	*at = event;
}

static void unlink_event(struct clock *clock, struct event *event)
{
	struct event **at = &clock->first;

	while (*at != event)
		at = &(*at)->next;
	*at = event->next;
}

void clock_add(struct clock *clock, struct event *event, const char *name, void (*fire)(void *owner, u64 late),
	       void *owner)
{
	*event = (struct event){ .name = name, .fire = fire, .owner = owner, .when = CLOCK_NEVER, .known = true };
	insert(clock, event);
}

/* How late the event comes: a function of the seed, its name and its time, so that there is no more to remember. */
static u64 jitter(const struct clock *clock, const struct event *event, u64 when)
{
	if (!clock->seed || when >= CLOCK_NEVER - CLOCK_JITTER)
		return 0;
	return hash64(clock->seed ^ when, event->name, strlen(event->name)) % CLOCK_JITTER;
}

void clock_arm(struct clock *clock, struct event *event, u64 when)
{
	when += jitter(clock, event, when);
	if (event->when == when)
		return;
	unlink_event(clock, event);
	event->when = when;
	insert(clock, event);
	if (clock->attention)
		*clock->attention |= CLOCK_MOVED;
}

void clock_fire(struct clock *clock)
{
	while (clock_next(clock) <= clock->now && clock_next(clock) != CLOCK_NEVER) {
		struct event *event = clock->first;
		u64 late = clock->now - event->when;

		clock_arm(clock, event, CLOCK_NEVER);
		event->fire(event->owner, late);
	}
}

void clock_sort(struct clock *clock)
{
	struct event *rest = clock->first;

	clock->first = NULL;
	while (rest) {
		struct event *event = rest;

		rest = rest->next;
		insert(clock, event);
	}
	if (clock->attention)
		*clock->attention |= CLOCK_MOVED;
}
