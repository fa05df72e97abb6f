/* SPDX-License-Identifier: MIT */
/* The 8254 (Intel 8254 data sheet) and port 61h. Limits: pit.h. */
#include <stdlib.h>
#include "io/timer/pit.h"

enum { REFRESH_TICKS = 18 };

/* All times below are in ticks of the 1193182 Hz input since power-on. A counter remembers the tick at which its
 * counting element was loaded; what it shows and the level of OUT follow from the ticks since then. */
struct counter {
	u8 mode;           /* as written: 6 and 7 are 2 and 3 */
	bool bcd;
	u8 access;         /* RW bits: 1 low byte, 2 high byte, 3 both */
	u16 count;         /* the count that is being worked off, as written (0 is the largest) */
	u64 start;         /* tick of the load: the one after the write or trigger */
	bool running;      /* a count was written (and, modes 1 and 5, triggered) */
	bool written;      /* a count was written since the control word */
	bool gate;
	/* ticks since the load when GATE went low, modes 0, 2, 3, 4; while nothing runs: what the counting element has
	 * */
	u64 frozen;
	bool before;       /* mode 1: OUT before the load */
	/* next_count takes over: modes 2 and 3 at tick switch_at, modes 1 and 5 at the next trigger */
	bool pending;
	u16 next_count;
	u64 switch_at;
	u8 low;            /* first byte of a two-byte write */
	bool write_high, read_high;
	bool latched;
	u16 latch;
	bool status_latched;
	u8 status;
};

struct pit {
	struct counter counter[3];
	u8 port61;         /* bits 3-0 as written */
	bool out0;         /* what the irq0 line was last driven to */
	struct event edge; /* next edge of OUT0 */
	struct {
		struct clock *clock;
		struct line irq0;
	} wire;
};

#define COUNTER_FIELDS(n) \
	FIELD_MAX(struct pit, counter[n].mode, U8, 7), FIELD(struct pit, counter[n].bcd, BOOL), \
	FIELD_MAX(struct pit, counter[n].access, U8, 3), FIELD(struct pit, counter[n].count, U16), \
	FIELD(struct pit, counter[n].start, U64), FIELD(struct pit, counter[n].running, BOOL), \
	FIELD(struct pit, counter[n].written, BOOL), FIELD(struct pit, counter[n].gate, BOOL), \
	FIELD(struct pit, counter[n].frozen, U64), FIELD(struct pit, counter[n].before, BOOL), \
	FIELD(struct pit, counter[n].pending, BOOL), FIELD(struct pit, counter[n].next_count, U16), \
	FIELD(struct pit, counter[n].switch_at, U64), FIELD(struct pit, counter[n].low, U8), \
	FIELD(struct pit, counter[n].write_high, BOOL), FIELD(struct pit, counter[n].read_high, BOOL), \
	FIELD(struct pit, counter[n].latched, BOOL), FIELD(struct pit, counter[n].latch, U16), \
	FIELD(struct pit, counter[n].status_latched, BOOL), FIELD(struct pit, counter[n].status, U8)

static const struct field pit_fields[] = {
	COUNTER_FIELDS(0),
	COUNTER_FIELDS(1),
	COUNTER_FIELDS(2),
	FIELD(struct pit, port61, U8),
	FIELD(struct pit, out0, BOOL),
	FIELD(struct pit, edge, EVENT),
	FIELD_END
};

static u64 tick(const struct pit *pit)
{
	return clock_ticks(pit->wire.clock->now, PIT_HZ);
}

static u32 modulus(const struct counter *c)
{
	return c->bcd ? 10000 : 65536;
}

/* COUNT as a number of ticks, never 0. */
static u32 number(const struct counter *c, u16 count)
{
	u32 n = count;

	if (c->bcd)
		n = (count >> 12) * 1000u + (count >> 8 & 15) * 100u + (count >> 4 & 15) * 10u + (count & 15);
	return n ? n : modulus(c);
}

static u16 to_register(const struct counter *c, u32 n)
{
	n %= modulus(c);
	if (!c->bcd)
		return (u16)n;
	return (u16)(n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

static u8 mode(const struct counter *c)
{
	return c->mode > 5 ? c->mode - 4 : c->mode;
}

static bool gated(const struct counter *c)
{
	return mode(c) != 1 && mode(c) != 5;
}

static bool periodic(const struct counter *c)
{
	return mode(c) == 2 || mode(c) == 3;
}

static bool loaded(const struct counter *c, u64 t)
{
	return (s64)(t - c->start) >= 0;
}

/* Ticks since the load; 0 before it. */
static u64 elapsed(const struct counter *c, u64 t)
{
	if (gated(c) && !c->gate)
		return c->frozen;
	return loaded(c, t) ? t - c->start : 0;
}

/* Length of the high half of mode 3: an odd count gives it the odd tick. */
static u32 high_half(u32 n)
{
	return (n + 1) / 2;
}

/* A new count of a periodic mode takes over at the end of the (half) period. */
static void take_over(struct counter *c, u64 t)
{
	u32 n;

	if (!c->pending || !periodic(c) || (s64)(t - c->switch_at) < 0)
		return;
	n = number(c, c->count);
	if (mode(c) == 3 && (c->switch_at - c->start) % n == high_half(n)) /* the low half begins */
		c->start = c->switch_at - high_half(number(c, c->next_count));
	else
		c->start = c->switch_at;
	c->count = c->next_count;
	c->pending = false;
}

static bool output(const struct counter *c, u64 t)
{
	u32 n = number(c, c->count);
	u64 e = elapsed(c, t);

	switch (mode(c)) {
	case 0:
		return c->running && e >= n;
	case 1:
		if (c->running && !loaded(c, t))
			return c->before;
		return !c->running || e >= n;
	case 2:
		return !c->running || !c->gate || n == 1 || e % n != n - 1;
	case 3:
		return !c->running || !c->gate || e % n < high_half(n);
	default: /* 4 and 5 */
		return !c->running || e != n;
	}
}

static u16 value(const struct counter *c, u64 t)
{
	u32 n = number(c, c->count), m = modulus(c), p;
	u64 e = elapsed(c, t);

	if (!c->running)
		return (u16)c->frozen;
	switch (mode(c)) {
	case 2:
		return to_register(c, n - (u32)(e % n));
	case 3: /* counts by twos, twice a period, from the even number below */
		p = (u32)(e % n);
		if (p >= high_half(n))
			p -= high_half(n);
		return to_register(c, (n & ~1u) - 2 * p);
	default:
		return to_register(c, n + m - (u32)(e % m));
	}
}

static u8 status(const struct counter *c, u64 t)
{
	bool null = !c->written || c->pending || !c->running || !loaded(c, t);

	return (u8)(output(c, t) << 7 | null << 6 | c->access << 4 | c->mode << 1 | c->bcd);
}

/* The next tick after T at which the line must be driven; ~0: never. The one-tick pulse of mode 2 is driven at its end
 * as a whole. */
static u64 next_edge(const struct counter *c, u64 t)
{
	u32 n = number(c, c->count);
	u64 e, p, next = ~(u64)0;

	if (!c->running || (gated(c) && !c->gate))
		return next;
	if (!loaded(c, t)) {
		if (mode(c) == 1)
			return c->start;
		t = c->start;
	}
	e = t - c->start;
	p = e % n;
	switch (mode(c)) {
	case 2:
		if (n > 1)
			next = t - p + n;
		break;
	case 3:
		if (n > 1)
			next = t - p + (p < high_half(n) ? high_half(n) : n);
		break;
	case 4:
	case 5:
		if (e == n)
			next = t + 1;
		/* fall through */
	default:
		if (e < n)
			next = c->start + n;
	}
	if (c->pending && periodic(c) && c->switch_at > t && c->switch_at < next)
		next = c->switch_at;
	return next;
}

static void pit_arm(struct pit *pit)
{
	u64 next = next_edge(&pit->counter[0], tick(pit));
	bool never = next >= clock_ticks(CLOCK_NEVER - 1, PIT_HZ);

	clock_arm(pit->wire.clock, &pit->edge, never ? CLOCK_NEVER : clock_ns(next, PIT_HZ));
}

static void pit_drive(struct pit *pit, bool level)
{
	if (level == pit->out0)
		return;
	pit->out0 = level;
	line_set(&pit->wire.irq0, level);
}

/* Counter 0 was touched. */
static void changed(struct pit *pit)
{
	pit_drive(pit, mode(&pit->counter[0]) == 2 || output(&pit->counter[0], tick(pit)));
	pit_arm(pit);
}

static void edge(void *owner, u64 late)
{
	struct pit *pit = owner;
	struct counter *c = &pit->counter[0];
	u64 t = tick(pit);
	bool level;

	(void)late;
	take_over(c, t);
	level = mode(c) == 2 || output(c, t);
	if (level) /* a low pulse that has passed meanwhile still makes its rising edge */
		pit_drive(pit, false);
	pit_drive(pit, level);
	pit_arm(pit);
}

/* A control word, or the first byte of a count in mode 0: the counting element keeps what it has until a count is
 * loaded. */
static void halt(struct counter *c, u64 t)
{
	if (c->running)
		c->frozen = value(c, t);
	c->running = false;
}

/* GATE rises in modes 1 and 5, or a count is written in modes 0 and 4: load at the next tick. */
static void load(struct counter *c, u64 t)
{
	c->before = output(c, t);
	c->start = t + 1;
	c->frozen = 0;
	c->running = true;
}

static void set_gate(struct counter *c, bool gate, u64 t)
{
	take_over(c, t);
	if (gate == c->gate)
		return;
	if (!gate) {
		if (c->running)
			c->frozen = elapsed(c, t);
		c->gate = false;
		return;
	}
	switch (mode(c)) {
	case 1:
	case 5:
		if (c->written)
			load(c, t);
		if (c->pending)
			c->count = c->next_count;
		c->pending = false;
		break;
	case 2:
	case 3:
		if (c->pending)
			c->count = c->next_count;
		c->pending = false;
		c->start = t + 1;
		break;
	default:
		if (c->running)
			c->start = t - c->frozen;
		break;
	}
	c->gate = true;
}

static void write_count(struct counter *c, u16 count, u64 t)
{
	u32 n;
	u64 p;

	take_over(c, t);
	n = number(c, c->count);
	c->written = true;
	if (!gated(c)) { /* used at the next trigger; a count that is running is not disturbed */
		c->next_count = count;
		c->pending = c->running;
		if (!c->running)
			c->count = count;
		return;
	}
	if (periodic(c) && c->running && c->gate && loaded(c, t)) {
		p = (t - c->start) % n;
		c->switch_at = t - p + (mode(c) == 3 && p < high_half(n) ? high_half(n) : n);
		c->next_count = count;
		c->pending = true;
		return;
	}
	c->count = count;
	c->pending = false;
	load(c, t);
}

static void write_counter(struct pit *pit, unsigned i, u8 byte)
{
	struct counter *c = &pit->counter[i];
	u64 t = tick(pit);

	switch (c->access) {
	case 1:
		write_count(c, byte, t);
		break;
	case 2:
		write_count(c, (u16)(byte << 8), t);
		break;
	case 3:
		if (c->write_high) {
			write_count(c, (u16)(byte << 8 | c->low), t);
		} else {
			c->low = byte;
			if (mode(c) == 0) /* and OUT goes low */
				halt(c, t);
		}
		c->write_high = !c->write_high;
		break;
	default:
		break;
	}
	if (i == 0)
		changed(pit);
}

static u8 read_counter(struct pit *pit, unsigned i)
{
	struct counter *c = &pit->counter[i];
	u64 t = tick(pit);
	u16 v;

	take_over(c, t);
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->latched ? c->latch : value(c, t);
	if (c->access == 3) {
		c->read_high = !c->read_high;
		if (c->read_high)
			return (u8)v;
	}
	c->latched = false;
	return c->access == 1 ? (u8)v : (u8)(v >> 8);
}

static void latch_count(struct counter *c, u64 t)
{
	if (c->latched)
		return;
	c->latch = value(c, t);
	c->latched = true;
}

static void latch_status(struct counter *c, u64 t)
{
	if (c->status_latched)
		return;
	c->status = status(c, t);
	c->status_latched = true;
}

/*  7 6   5 4   3 2 1   0
 *  SC    RW    M       BCD     SC 3: read back, bit 5 not the count, bit 4 not the status, bits 3-1 which counters */
static void write_control(struct pit *pit, u8 word)
{
	struct counter *c;
	u64 t = tick(pit);

	if (word >> 6 == 3) {
		for (unsigned i = 0; i < 3; i++) {
			c = &pit->counter[i];
			take_over(c, t);
			if (!(word & 2u << i))
				continue;
			if (!(word & 0x20))
				latch_count(c, t);
			if (!(word & 0x10))
				latch_status(c, t);
		}
		return;
	}
	c = &pit->counter[word >> 6];
	take_over(c, t);
	if (!(word & 0x30)) {
		latch_count(c, t);
		return;
	}
	halt(c, t);
	c->access = word >> 4 & 3;
	c->mode = word >> 1 & 7;
	c->bcd = word & 1;
	c->written = c->pending = false;
	c->write_high = c->read_high = c->latched = c->status_latched = false;
	if (word >> 6 == 0)
		changed(pit);
}

static u64 read_pit(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return offset < 3 ? read_counter(owner, (unsigned)offset) : 0xff;
}

static void write_pit(void *owner, u64 offset, unsigned size, u64 byte)
{
	(void)size;
	if (offset < 3)
		write_counter(owner, (unsigned)offset, (u8)byte);
	else
		write_control(owner, (u8)byte);
}

/* The first instant after tick T at which port 61h may read otherwise. */
static u64 steady_61(const struct counter *c, u64 t)
{
	u64 refresh = (t / REFRESH_TICKS + 1) * REFRESH_TICKS, out = mode(c) == 2 ? t + 1 : next_edge(c, t);

	return clock_ns(out < refresh ? out : refresh, PIT_HZ);
}

/*  7     6      5     4        3       2      1        0
 *  SERR  IOCHK  OUT2  refresh  iochk-  serr-  speaker  GATE2     refresh toggles every REFRESH_TICKS, 15.09 us */
static u64 read_61(void *owner, u64 offset, unsigned size)
{
	struct pit *pit = owner;
	struct counter *c = &pit->counter[2];
	u64 t = tick(pit);

	(void)offset, (void)size;
	take_over(c, t);
	clock_steady(pit->wire.clock, steady_61(c, t));
	return pit->port61 | (t / REFRESH_TICKS & 1) << 4 | output(c, t) << 5;
}

bool pit_speaker_out(struct pit *pit)
{
	u64 t = tick(pit);

	take_over(&pit->counter[2], t);
	return (pit->port61 & 2) && output(&pit->counter[2], t);
}

static void write_61(void *owner, u64 offset, unsigned size, u64 byte)
{
	struct pit *pit = owner;

	(void)offset, (void)size;
	pit->port61 = byte & 0x0f;
	set_gate(&pit->counter[2], byte & 1, tick(pit));
}

static const struct device_ops pit_ops = { read_pit, write_pit, 1, 1 };
static const struct device_ops port61_ops = { read_61, write_61, 1, 1 };

/* A snapshot says what it likes; these have meanings that the code relies on. */
static void pit_post_load(void *state)
{
	struct pit *pit = state;

	pit->port61 &= 0x0f;
	for (unsigned i = 0; i < 2; i++) /* GATE0 and GATE1 are tied high */
		pit->counter[i].gate = true;
}

struct pit *pit_new(struct space *ports, struct clock *clock, struct line irq0)
{
	struct pit *pit = calloc(1, sizeof *pit);

	if (!pit)
		return NULL;
	pit->wire.clock = clock;
	pit->wire.irq0 = irq0;
	for (unsigned i = 0; i < 3; i++) {
		pit->counter[i].access = 3;
		pit->counter[i].mode = 3;
	}
	pit->out0 = true;
	pit_post_load(pit);
	if (space_add_device(ports, "pit", 0x40, 4, &pit_ops, pit) < 0 ||
	    space_add_device(ports, "port 61h", 0x61, 1, &port61_ops, pit) < 0) {
		free(pit);
		return NULL;
	}
	clock_add(clock, &pit->edge, "pit edge", edge, pit);
	return pit;
}

void pit_free(struct pit *pit)
{
	free(pit);
}

u64 pit_speaker(const struct pit *pit)
{
	const struct counter *c = &pit->counter[2];

	if ((pit->port61 & 3) != 3 || mode(c) != 3 || !c->running)
		return 0;
	return clock_ns(number(c, c->count), PIT_HZ) / 2;
}

void pit_refresh(struct pit *pit)
{
	line_set(&pit->wire.irq0, pit->out0);
}

struct part pit_part(struct pit *pit)
{
	return (struct part){ .name = "pit", .state = pit, .fields = pit_fields, .post_load = pit_post_load };
}
