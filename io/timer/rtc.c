/* SPDX-License-Identifier: MIT */
/* The MC146818 (Motorola MC146818A data sheet): time, alarm, periodic interrupt, CMOS RAM. Limits: rtc.h. */
#include <stdlib.h>
#include "io/timer/rtc.h"

enum {
	SECONDS = 0x00, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR,
	REG_A, REG_B, REG_C, REG_D,
	EQUIPMENT = 0x14, CHECKSUM = 0x2e, CENTURY = 0x32,

	A_UIP = 0x80, A_DV = 0x70, A_RS = 0x0f,
	B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_DM = 0x04, B_24H = 0x02,
	C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
	D_VRT = 0x80,
};

#define SECOND 1000000000u
#define DIVIDER_HZ 32768u
#define UIP_NS 2228000u       /* 244 us of warning and 1984 us of update before the second changes */
#define HALF_SECOND 500000000u /* from the release of the divider to the first update */

struct rtc {
	u8 cmos[128];   /* time registers are current only while updates are off */
	u8 index;       /* these two are what port 70h changes */
	bool nmi_masked;
	u64 origin;     /* virtual ns at which the divider was zero (modulo 2^64: may lie before power-on) */
	u64 seconds;    /* time of day at origin, since 1970 */
	u64 checked;    /* virtual ns up to which flags are up to date */
	struct event event;
	struct {
		struct clock *clock;
		struct line irq, nmi_mask;
	} wire;
};

static const struct field rtc_fields[] = {
	FIELDS(struct rtc, cmos, U8),
	FIELD_MAX(struct rtc, index, U8, 127),
	FIELD(struct rtc, nmi_masked, BOOL),
	FIELD(struct rtc, origin, U64),
	FIELD(struct rtc, seconds, U64),
	FIELD(struct rtc, checked, U64),
	FIELD(struct rtc, event, EVENT),
	FIELD_END
};

static bool divider_held(const struct rtc *rtc)
{
	return (rtc->cmos[REG_A] & 0x60) == 0x60; /* DV 11x */
}

static bool updates_off(const struct rtc *rtc)
{
	return divider_held(rtc) || (rtc->cmos[REG_B] & B_SET);
}

static u64 time_at(const struct rtc *rtc, u64 ns)
{
	return rtc->seconds + (ns - rtc->origin) / SECOND;
}

static u8 encode(const struct rtc *rtc, unsigned n)
{
	n %= 100;
	return (u8)(rtc->cmos[REG_B] & B_DM ? n : n / 10 << 4 | n % 10);
}

static unsigned decode(const struct rtc *rtc, u8 byte)
{
	return rtc->cmos[REG_B] & B_DM ? byte : (byte >> 4) * 10u + (byte & 15);
}

static u8 encode_hours(const struct rtc *rtc, unsigned hours)
{
	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hours);
	return encode(rtc, (hours + 11) % 12 + 1) | (hours >= 12 ? 0x80 : 0);
}

static unsigned decode_hours(const struct rtc *rtc, u8 byte)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, byte);
	return decode(rtc, byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

/* Days since 1970-01-01 to and from the Gregorian calendar. Years are counted from 1 March, so that the leap day is the
 * last one: months then begin at day (153 m + 2) / 5. 146097 days are 400 years; 719468 days lie between 0000-03-01 and
 * 1970-01-01. */
struct date {
	u64 year;
	unsigned month, day; /* from 1 */
};

static struct date date_of(u64 days)
{
	u64 z = days + 719468;
	unsigned in_era = (unsigned)(z % 146097);
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned m = (5 * in_year + 2) / 153;

	return (struct date){
		.year = z / 146097 * 400 + year + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = in_year - (153 * m + 2) / 5 + 1,
	};
}

static u64 days_of(struct date date)
{
	u64 year = date.year - (date.month <= 2);
	unsigned m = (date.month + 9) % 12;

	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * m + 2) / 5 + date.day - 1 - 719468;
}

/* The time registers for the time of day T. */
static void show(struct rtc *rtc, u64 t)
{
	struct date date = date_of(t / 86400);
	unsigned in_day = (unsigned)(t % 86400);

	rtc->cmos[SECONDS] = encode(rtc, in_day % 60);
	rtc->cmos[MINUTES] = encode(rtc, in_day / 60 % 60);
	rtc->cmos[HOURS] = encode_hours(rtc, in_day / 3600);
	rtc->cmos[WEEKDAY] = (u8)((t / 86400 + 4) % 7 + 1); /* 1 is Sunday; 1970 began on a Thursday */
	rtc->cmos[DAY] = encode(rtc, date.day);
	rtc->cmos[MONTH] = encode(rtc, date.month);
	rtc->cmos[YEAR] = encode(rtc, (unsigned)(date.year % 100));
	rtc->cmos[CENTURY] = encode(rtc, (unsigned)(date.year / 100 % 100));
}

/* And back. The registers may hold anything. */
static u64 shown(const struct rtc *rtc)
{
	struct date date = {
		.year = decode(rtc, rtc->cmos[CENTURY]) * 100 + decode(rtc, rtc->cmos[YEAR]),
		.month = (decode(rtc, rtc->cmos[MONTH]) + 11) % 12 + 1,
		.day = decode(rtc, rtc->cmos[DAY]),
	};

	if (date.year < 1970)
		date.year += 100 * ((2069 - date.year) / 100); /* a guest that knows no century: 70-99, 00-69 */
	return days_of(date) * 86400 + decode_hours(rtc, rtc->cmos[HOURS]) * 3600 +
		decode(rtc, rtc->cmos[MINUTES]) * 60 +
		decode(rtc, rtc->cmos[SECONDS]);
}

/* The divider goes on; the time of day is now what the registers say. */
static void adopt(struct rtc *rtc)
{
	rtc->seconds = shown(rtc) - (rtc->wire.clock->now - rtc->origin) / SECOND;
}

static bool alarm_is(u8 alarm, u8 now)
{
	return alarm >= 0xc0 || alarm == now; /* 11xxxxxx: don't care */
}

/* The first second after FROM that the alarm matches, or ~0: skip hours, then minutes, then seconds. A day has all
 * there is. */
static u64 next_alarm(const struct rtc *rtc, u64 from)
{
	u64 i = 1;

	while (i <= 86400) {
		unsigned in_day = (unsigned)((from + i) % 86400);

		if (!alarm_is(rtc->cmos[HOURS_ALARM], encode_hours(rtc, in_day / 3600)))
			i += 3600 - in_day % 3600;
		else if (!alarm_is(rtc->cmos[MINUTES_ALARM], encode(rtc, in_day / 60 % 60)))
			i += 60 - in_day % 60;
		else if (!alarm_is(rtc->cmos[SECONDS_ALARM], encode(rtc, in_day % 60)))
			i++;
		else
			return from + i;
	}
	return ~(u64)0;
}

/* Ticks of the divider between two periodic interrupts; 0: none. */
static unsigned period(const struct rtc *rtc)
{
	unsigned rs = rtc->cmos[REG_A] & A_RS;

	if (!rs || divider_held(rtc))
		return 0;
	return rs <= 2 ? 64u << rs : 1u << (rs - 1);
}

static u64 divider(const struct rtc *rtc, u64 ns)
{
	return clock_ticks(ns - rtc->origin, DIVIDER_HZ);
}

/* Bring the flags of register C up to now. */
static void catch_up(struct rtc *rtc)
{
	u64 now = rtc->wire.clock->now, from, to;
	unsigned n = period(rtc);

	if (n && divider(rtc, rtc->checked) / n != divider(rtc, now) / n)
		rtc->cmos[REG_C] |= C_PF;
	if (!updates_off(rtc)) {
		from = time_at(rtc, rtc->checked);
		to = time_at(rtc, now);
		if (from != to)
			rtc->cmos[REG_C] |= C_UF;
		if (from < to && next_alarm(rtc, from) <= to)
			rtc->cmos[REG_C] |= C_AF;
	}
	rtc->checked = now;
}

static bool interrupting(const struct rtc *rtc)
{
	return rtc->cmos[REG_C] & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF);
}

/* The instant NS after the origin, if it is still to come. */
static u64 instant(const struct rtc *rtc, u64 ns)
{
	u64 when = rtc->origin + ns;

	return when > rtc->wire.clock->now ? when : CLOCK_NEVER;
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Drive the line, and find the next flag that somebody waits for. */
static void rtc_update(struct rtc *rtc)
{
	u8 wanted = rtc->cmos[REG_B] & ~rtc->cmos[REG_C];
	u64 now = rtc->wire.clock->now, when = CLOCK_NEVER, t, alarm;
	unsigned n = period(rtc);

	if ((wanted & B_PIE) && n)
		when = instant(rtc, clock_ns((divider(rtc, now) / n + 1) * n, DIVIDER_HZ));
	if (!updates_off(rtc) && (wanted & (B_UIE | B_AIE))) {
		t = (now - rtc->origin) / SECOND;
		if (wanted & B_UIE)
			when = earlier(when, instant(rtc, (t + 1) * SECOND));
		alarm = wanted & B_AIE ? next_alarm(rtc, rtc->seconds + t) : ~(u64)0;
		if (alarm != ~(u64)0)
			when = earlier(when, instant(rtc, (alarm - rtc->seconds) * SECOND));
	}
	clock_arm(rtc->wire.clock, &rtc->event, when);
	line_set(&rtc->wire.irq, interrupting(rtc));
}

static void fire(void *owner, u64 late)
{
	struct rtc *rtc = owner;

	(void)late;
	catch_up(rtc);
	rtc_update(rtc);
}

static bool is_time(unsigned index)
{
	return index == SECONDS || index == MINUTES || (index >= HOURS && index <= YEAR && index != HOURS_ALARM) ||
	       index == CENTURY;
}

static bool updating(const struct rtc *rtc)
{
	return !updates_off(rtc) && (rtc->wire.clock->now - rtc->origin) % SECOND >= SECOND - UIP_NS;
}

/* The first instant at which register INDEX reads otherwise, if it is not C. */
static u64 steady_until(const struct rtc *rtc, unsigned index)
{
	u64 in_second = (rtc->wire.clock->now - rtc->origin) % SECOND, end = SECOND;

	if (updates_off(rtc) || (index != REG_A && !is_time(index)))
		return CLOCK_NEVER;
	if (index == REG_A && in_second < SECOND - UIP_NS)
		end = SECOND - UIP_NS;
	return clock_in(rtc->wire.clock, end - in_second);
}

static u8 rtc_read_register(struct rtc *rtc, unsigned index)
{
	u8 value;

	catch_up(rtc);
	if (index != REG_C)
		clock_steady(rtc->wire.clock, steady_until(rtc, index));
	switch (index) {
	case REG_A:
		return rtc->cmos[REG_A] | (updating(rtc) ? A_UIP : 0);
	case REG_C:
		value = rtc->cmos[REG_C] | (interrupting(rtc) ? C_IRQF : 0);
		rtc->cmos[REG_C] = 0;
		rtc_update(rtc);
		return value;
	case REG_D:
		return D_VRT;
	default:
		if (is_time(index) && !updates_off(rtc))
			show(rtc, time_at(rtc, rtc->wire.clock->now));
		return rtc->cmos[index];
	}
}

/* Registers A and B start and stop the updates. */
static void write_mode(struct rtc *rtc, unsigned index, u8 value)
{
	bool off = updates_off(rtc), held = divider_held(rtc);

	if (!off)
		show(rtc, time_at(rtc, rtc->wire.clock->now));
	if (index == REG_A)
		value &= ~A_UIP;
	else if (value & B_SET)
		value &= ~B_UIE;
	rtc->cmos[index] = value;
	if (held && !divider_held(rtc))
		rtc->origin = rtc->wire.clock->now - HALF_SECOND;
	if (off && !updates_off(rtc))
		adopt(rtc);
}

static void rtc_write_register(struct rtc *rtc, unsigned index, u8 value)
{
	catch_up(rtc);
	if (index == REG_C || index == REG_D)
		return;
	if (index == REG_A || index == REG_B) {
		write_mode(rtc, index, value);
	} else if (is_time(index) && !updates_off(rtc)) {
		show(rtc, time_at(rtc, rtc->wire.clock->now));
		rtc->cmos[index] = value;
		adopt(rtc);
	} else {
		rtc->cmos[index] = value;
	}
	rtc_update(rtc);
}

static u64 read_rtc(void *owner, u64 offset, unsigned size)
{
	struct rtc *rtc = owner;

	(void)size;
	return offset ? rtc_read_register(rtc, rtc->index) : 0xff;
}

static void write_rtc(void *owner, u64 offset, unsigned size, u64 value)
{
	struct rtc *rtc = owner;

	(void)size;
	if (offset) {
		rtc_write_register(rtc, rtc->index, (u8)value);
		return;
	}
	clock_changes(rtc->wire.clock, &rtc->index, sizeof rtc->index + sizeof rtc->nmi_masked);
	rtc->index = value & 0x7f;
	rtc->nmi_masked = value & 0x80;
	line_set(&rtc->wire.nmi_mask, rtc->nmi_masked);
}

static const struct device_ops rtc_ops = { read_rtc, write_rtc, 1, 1 };

/* What index arithmetic and the flags rely on. */
static void rtc_post_load(void *state)
{
	struct rtc *rtc = state;

	rtc->cmos[REG_A] &= ~A_UIP;
	rtc->cmos[REG_C] &= C_PF | C_AF | C_UF;
}

static void put_cmos16(struct rtc *rtc, unsigned index, u64 value, u64 most)
{
	put16(&rtc->cmos[index], (u16)(value < most ? value : most));
}

/* The size registers, as firmware leaves them: KiB below 1 MiB, KiB above it (two copies), 64 KiB above 16 MiB, 64 KiB
 * above 4 GiB. */
static void fill_sizes(struct rtc *rtc, u64 ram, u64 low_end)
{
	u64 low = ram < low_end ? ram : low_end, high = ram - low;

	put_cmos16(rtc, 0x15, low / KiB, 640);
	put_cmos16(rtc, 0x17, low > MiB ? (low - MiB) / KiB : 0, 0xffff);
	put_cmos16(rtc, 0x30, low > MiB ? (low - MiB) / KiB : 0, 0xffff);
	put_cmos16(rtc, 0x34, low > 16 * MiB ? (low - 16 * MiB) / (64 * KiB) : 0, 0xffff);
	high /= 64 * KiB;
	put_cmos16(rtc, 0x5b, high & 0xffff, 0xffff);
	rtc->cmos[0x5d] = (u8)(high >> 16);
}

static void fill_checksum(struct rtc *rtc)
{
	unsigned sum = 0;

	for (unsigned i = 0x10; i < CHECKSUM; i++)
		sum += rtc->cmos[i];
	rtc->cmos[CHECKSUM] = (u8)(sum >> 8);
	rtc->cmos[CHECKSUM + 1] = (u8)sum;
}

struct rtc *rtc_new(struct space *ports, struct clock *clock, struct line irq8, struct line nmi_mask, u64 start,
		    u64 ram, u64 low_end)
{
	struct rtc *rtc = calloc(1, sizeof *rtc);

	if (!rtc)
		return NULL;
	rtc->wire.clock = clock;
	rtc->wire.irq = irq8;
	rtc->wire.nmi_mask = nmi_mask;
	rtc->seconds = start;
	rtc->cmos[REG_A] = 0x26; /* 32768 Hz crystal, periodic rate 1024 Hz */
	rtc->cmos[REG_B] = B_24H;
	rtc->cmos[EQUIPMENT] = 0x06; /* coprocessor, pointing device */
	fill_sizes(rtc, ram, low_end);
	fill_checksum(rtc);
	show(rtc, start);
	if (space_add_device(ports, "rtc", 0x70, 2, &rtc_ops, rtc) < 0) {
		free(rtc);
		return NULL;
	}
	clock_add(clock, &rtc->event, "rtc", fire, rtc);
	return rtc;
}

void rtc_free(struct rtc *rtc)
{
	free(rtc);
}

void rtc_reset(struct rtc *rtc)
{
	rtc_write_register(rtc, REG_B, rtc->cmos[REG_B] & (u8)~(B_PIE | B_AIE | B_UIE));
	rtc_read_register(rtc, REG_C);
	rtc->index = REG_D;
	rtc->nmi_masked = false;
	line_set(&rtc->wire.nmi_mask, false);
}

void rtc_refresh(struct rtc *rtc)
{
	line_set(&rtc->wire.nmi_mask, rtc->nmi_masked);
	line_set(&rtc->wire.irq, interrupting(rtc));
}

struct part rtc_part(struct rtc *rtc)
{
	return (struct part){ .name = "rtc", .state = rtc, .fields = rtc_fields, .post_load = rtc_post_load };
}
