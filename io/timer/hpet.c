/* SPDX-License-Identifier: MIT */
/* The high precision event timers (IA-PC HPET specification 1.0a). Limits: hpet.h. */
#include <stdlib.h>
#include "io/timer/hpet.h"

enum {
	REG_CAPABILITIES = 0x00, REG_CONFIG = 0x10, REG_STATUS = 0x20, REG_COUNTER = 0xf0, REG_TIMER = 0x100,
		TIMER_SIZE = 0x20,
	TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08,
	CONFIG_ENABLE = 1, CONFIG_LEGACY = 2,
};

/*  63..32         15 14   13..9  8       6        5     4         3         2       1
 *  pins possible  FSB(0)  pin    32 bit  set val  64b+  periodic+ periodic  enable  level  (+: capability, always 1 here) */
enum {
	T_LEVEL = 0x02, T_ENABLE = 0x04, T_PERIODIC = 0x08, T_SET = 0x40, T_32BIT = 0x100,
	T_WRITABLE = 0x3f4e, T_CAPABLE = 0x30, T_PIN_SHIFT = 9,
};
#define PINS_POSSIBLE ((u64)0x00ff0000 << 32) /* I/O APIC pins 16 to 23, where nothing else is */

#define FEMTOSECONDS (1000000000000000u / HPET_HZ)
#define NS_PER_TICK (1000000000u / HPET_HZ)

struct timer {
	u64 config;
	u64 comparator;
	u64 period;
	/* edge mode: the line was raised by the last match and stays up, so that the next one finds it so */
	bool held;
	struct event match;
};

struct hpet {
	u64 config;
	u64 status;         /* bit N: level interrupt of timer N */
	u64 base;           /* the counter when it was last started or stopped, */
	u64 started;        /*   and the tick of the clock at which it was started */
	struct timer timer[HPET_TIMERS];
	u32 pins;           /* I/O APIC pins that are driven high now, */
	/*  and the two wires of legacy replacement; others drive them too, so they are touched only on a change */
	bool irq0, irq8;
	struct {
		struct clock *clock;
		struct line ioapic, irq0, irq8, legacy;
	} wire;
};

#define TIMER_FIELDS(n) \
	FIELD(struct hpet, timer[n].config, U64), FIELD(struct hpet, timer[n].comparator, U64), \
	FIELD(struct hpet, timer[n].period, U64), FIELD(struct hpet, timer[n].held, BOOL), \
	FIELD(struct hpet, timer[n].match, EVENT)

static const struct field hpet_fields[] = {
	FIELD(struct hpet, config, U64),
	FIELD(struct hpet, status, U64),
	FIELD(struct hpet, base, U64),
	FIELD(struct hpet, started, U64),
	TIMER_FIELDS(0), TIMER_FIELDS(1), TIMER_FIELDS(2),
	FIELD(struct hpet, pins, U32),
	FIELD(struct hpet, irq0, BOOL),
	FIELD(struct hpet, irq8, BOOL),
	FIELD_END
};

static u64 tick(const struct hpet *hpet)
{
	return hpet->wire.clock->now / NS_PER_TICK;
}

static u64 counter(const struct hpet *hpet)
{
	return hpet->config & CONFIG_ENABLE ? hpet->base + (tick(hpet) - hpet->started) : hpet->base;
}

/* Bits that the timer compares. */
static u64 width(const struct timer *timer)
{
	return timer->config & T_32BIT ? 0xffffffff : ~(u64)0;
}

/* Where timer N's interrupt goes now: -1 and -2 are IRQ0 and IRQ8 of legacy replacement. */
static int route(const struct hpet *hpet, unsigned n)
{
	if ((hpet->config & CONFIG_LEGACY) && n < 2)
		return n ? -2 : -1;
	return hpet->timer[n].config >> T_PIN_SHIFT & 31;
}

static bool asserted(const struct hpet *hpet, unsigned n)
{
	const struct timer *timer = &hpet->timer[n];

	if (!(hpet->config & CONFIG_ENABLE) || !(timer->config & T_ENABLE))
		return false;
	return timer->config & T_LEVEL ? hpet->status >> n & 1 : timer->held;
}

static void drive_line(const struct line *line, bool *driven, bool level)
{
	if (*driven == level)
		return;
	*driven = level;
	line_set(line, level);
}

static void hpet_drive(struct hpet *hpet)
{
	bool irq0 = false, irq8 = false;
	u32 pins = 0, changed;

	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		int to = route(hpet, n);

		if (!asserted(hpet, n))
			continue;
		if (to == -1)
			irq0 = true;
		else if (to == -2)
			irq8 = true;
		else
			pins |= (u32)1 << to;
	}
	drive_line(&hpet->wire.irq0, &hpet->irq0, irq0);
	drive_line(&hpet->wire.irq8, &hpet->irq8, irq8);
	changed = pins ^ hpet->pins;
	hpet->pins = pins;
	for (int i = 0; changed; i++, changed >>= 1)
		if ((changed & 1) && hpet->wire.ioapic.set)
			hpet->wire.ioapic.set(hpet->wire.ioapic.owner, i, pins >> i & 1);
}

/* Find the instant at which the counter meets timer N's comparator. If they are equal now, that is either now or one
 * wrap away. */
static void hpet_arm(struct hpet *hpet, unsigned n, bool also_now)
{
	struct timer *timer = &hpet->timer[n];
	u64 distance = (timer->comparator - counter(hpet)) & width(timer), t = tick(hpet), when = CLOCK_NEVER;

	if (!distance && !also_now)
		distance = timer->config & T_32BIT ? (u64)1 << 32 : ~(u64)0;
	if ((hpet->config & CONFIG_ENABLE) && distance < (CLOCK_NEVER - 1) / NS_PER_TICK - t)
		when = (t + distance) * NS_PER_TICK;
	clock_arm(hpet->wire.clock, &timer->match, when);
}

static void arm_all(struct hpet *hpet)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		hpet_arm(hpet, n, true);
}

static void match(struct hpet *hpet, unsigned n)
{
	struct timer *timer = &hpet->timer[n];
	u64 late;

	if ((timer->config & T_PERIODIC) && (timer->period & width(timer))) {
		u64 period = timer->period & width(timer);

		late = (counter(hpet) - timer->comparator) & width(timer);
		timer->comparator = (timer->comparator + (late / period + 1) * period) & width(timer);
	}
	if (timer->config & T_LEVEL) {
		hpet->status |= (u64)1 << n;
	} else {
		timer->held = false;
		hpet_drive(hpet);
		timer->held = timer->config & T_ENABLE;
	}
	hpet_drive(hpet);
	hpet_arm(hpet, n, false);
}

static void match0(void *owner, u64 late)
{
	(void)late;
	match(owner, 0);
}

static void match1(void *owner, u64 late)
{
	(void)late;
	match(owner, 1);
}

static void match2(void *owner, u64 late)
{
	(void)late;
	match(owner, 2);
}

static u64 capabilities(void)
{
	return (u64)FEMTOSECONDS << 32 | 0x8086u << 16 | 1 << 15 /* legacy */ | 1 << 13 /* 64 bits */ |
		(HPET_TIMERS - 1) << 8 | 1;
}

/* The 64-bit register at OFFSET, a multiple of 8. */
static u64 get(const struct hpet *hpet, u64 offset)
{
	const struct timer *timer;

	switch (offset) {
	case REG_CAPABILITIES: return capabilities();
	case REG_CONFIG: return hpet->config;
	case REG_STATUS: return hpet->status;
	case REG_COUNTER: return counter(hpet);
	}
	if (offset < REG_TIMER || offset >= REG_TIMER + HPET_TIMERS * TIMER_SIZE)
		return 0;
	timer = &hpet->timer[(offset - REG_TIMER) / TIMER_SIZE];
	switch (offset % TIMER_SIZE) {
	case TIMER_CONFIG: return timer->config | T_CAPABLE | PINS_POSSIBLE;
	case TIMER_COMPARATOR: return timer->comparator & width(timer);
	default: return 0;
	}
}

static void put_config(struct hpet *hpet, u64 value)
{
	u64 changed = hpet->config ^ value;

	hpet->base = counter(hpet);
	hpet->started = tick(hpet);
	hpet->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		hpet->timer[n].held &= !(changed & (CONFIG_ENABLE | CONFIG_LEGACY));
	line_set(&hpet->wire.legacy, hpet->config & CONFIG_LEGACY);
	hpet_drive(hpet);
	if (changed & CONFIG_ENABLE)
		arm_all(hpet);
}

static void put_timer_config(struct hpet *hpet, unsigned n, u64 value)
{
	struct timer *timer = &hpet->timer[n];
	u64 changed = timer->config ^ value;

	timer->config = value & T_WRITABLE;
	if (changed & (T_ENABLE | T_LEVEL | (u64)31 << T_PIN_SHIFT))
		timer->held = false;
	hpet_drive(hpet);
	if (changed & T_32BIT)
		hpet_arm(hpet, n, true);
}

/* MASK: the bits that this access writes. In periodic mode the comparator is reached only through the set bit, which
 * wears off; without it the write is to the period. */
static void put_comparator(struct hpet *hpet, unsigned n, u64 value, u64 mask)
{
	struct timer *timer = &hpet->timer[n];

	if (timer->config & T_PERIODIC)
		timer->period = (timer->period & ~mask) | value;
	if (!(timer->config & T_PERIODIC) || (timer->config & T_SET))
		timer->comparator = (timer->comparator & ~mask) | value;
	timer->config &= ~(u64)T_SET;
	hpet_arm(hpet, n, true);
}

static u64 read_hpet(void *owner, u64 offset, unsigned size)
{
	return get(owner, offset & ~(u64)7) >> (size == 4 ? 8 * (offset & 4) : 0);
}

static void write_hpet(void *owner, u64 offset, unsigned size, u64 value)
{
	struct hpet *hpet = owner;
	unsigned shift = size == 4 ? 8 * (offset & 4) : 0, n;
	u64 mask = size == 4 ? (u64)0xffffffff << shift : ~(u64)0, whole;

	offset &= ~(u64)7;
	value <<= shift;
	whole = (get(hpet, offset) & ~mask) | value;
	switch (offset) {
	case REG_CONFIG:
		put_config(hpet, whole);
		return;
	case REG_STATUS: /* write one to clear */
		hpet->status &= ~value;
		hpet_drive(hpet);
		return;
	case REG_COUNTER:
		hpet->base = whole;
		hpet->started = tick(hpet);
		arm_all(hpet);
		return;
	}
	if (offset < REG_TIMER || offset >= REG_TIMER + HPET_TIMERS * TIMER_SIZE)
		return;
	n = (unsigned)(offset - REG_TIMER) / TIMER_SIZE;
	if (offset % TIMER_SIZE == TIMER_CONFIG)
		put_timer_config(hpet, n, whole);
	else if (offset % TIMER_SIZE == TIMER_COMPARATOR)
		put_comparator(hpet, n, value, mask);
}

static const struct device_ops hpet_ops = { read_hpet, write_hpet, 4, 8 };

static void hpet_post_load(void *state)
{
	struct hpet *hpet = state;

	hpet->config &= CONFIG_ENABLE | CONFIG_LEGACY;
	hpet->status &= (1 << HPET_TIMERS) - 1;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		hpet->timer[n].config &= T_WRITABLE;
}

struct hpet *hpet_new(struct space *memory, struct clock *clock, struct line ioapic, struct line irq0, struct line irq8,
		      struct line legacy)
{
	struct hpet *hpet = calloc(1, sizeof *hpet);

	if (!hpet)
		return NULL;
	hpet->wire.clock = clock;
	hpet->wire.ioapic = ioapic;
	hpet->wire.irq0 = irq0;
	hpet->wire.irq8 = irq8;
	hpet->wire.legacy = legacy;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		hpet->timer[n].comparator = ~(u64)0;
	if (space_add_device(memory, "hpet", HPET_BASE, 0x400, &hpet_ops, hpet) < 0) {
		free(hpet);
		return NULL;
	}
	clock_add(clock, &hpet->timer[0].match, "hpet 0", match0, hpet);
	clock_add(clock, &hpet->timer[1].match, "hpet 1", match1, hpet);
	clock_add(clock, &hpet->timer[2].match, "hpet 2", match2, hpet);
	return hpet;
}

void hpet_free(struct hpet *hpet)
{
	free(hpet);
}

void hpet_refresh(struct hpet *hpet)
{
	line_set(&hpet->wire.legacy, hpet->config & CONFIG_LEGACY);
	for (int i = 0; i < 32 && hpet->wire.ioapic.set; i++)
		if (hpet->pins >> i & 1)
			hpet->wire.ioapic.set(hpet->wire.ioapic.owner, i, true);
	if (hpet->irq0)
		line_set(&hpet->wire.irq0, true);
	if (hpet->irq8)
		line_set(&hpet->wire.irq8, true);
}

struct part hpet_part(struct hpet *hpet)
{
	return (struct part){ .name = "hpet", .state = hpet, .fields = hpet_fields, .post_load = hpet_post_load };
}
